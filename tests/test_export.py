"""Exports: what is written must be readable by others, and the script must repeat the run."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from normlib import export
from normlib.config import METHODS, TrainConfig
from normlib.run import Run
from normlib.training import train

SMALL = {"epochs": 2, "train_size": 200, "batch_size": 64, "hidden_units": 12, "epsilon": 1e-3}
CONFIGS = {
    **{name: {"normalization": name} for name in METHODS},
    "both layers, batch": {"normalization": "batch", "placement": "conv and dense"},
    "both layers, layer": {"normalization": "layer", "placement": "conv and dense"},
    "both layers, group": {
        "normalization": "group",
        "placement": "conv and dense",
        "groups": 3,
    },
    "one group": {"normalization": "group", "groups": 1},
    "one unit": {"placement": "conv and dense", "hidden_units": 1},
    "one unit, layer": {
        "normalization": "layer",
        "placement": "conv and dense",
        "hidden_units": 1,
    },
    "nothing learned, layer": {"normalization": "layer", "learn_scale_shift": False},
    "both layers, rms": {"normalization": "rms", "placement": "conv and dense"},
    "both layers, weight": {"normalization": "weight", "placement": "conv and dense"},
    "g = 1": {"normalization": "weight", "weight_norm_start": "one"},
    "from data": {
        "normalization": "weight",
        "weight_norm_start": "data",
        "placement": "conv and dense",
    },
    "constant": {"normalization": "weight", "weight_norm_start": "constant"},
    "constant everywhere": {
        "normalization": "weight",
        "weight_norm_start": "constant",
        "placement": "conv and dense",
    },
    "as the report ran it": {
        "learn_scale_shift": False,
        "inference_statistics": "batch",
        "epsilon": 1e-8,
    },
    "center only": {"scale": False},
    "scale only": {"center": False},
    "neither": {"center": False, "scale": False},
    "nothing at all": {"center": False, "scale": False, "learn_scale_shift": False},
    "scale only, layer": {"normalization": "layer", "center": False},
    "after ReLU": {"position": "after ReLU"},
    "after ReLU, layer": {"normalization": "layer", "position": "after ReLU"},
    "ghost batches": {"ghost_batches": 4},
    "TensorFlow's, nothing learned": {
        "normalization": "tf_batch",
        "learn_scale_shift": False,
    },
    "another momentum": {"momentum": 0.5},
}


# Runs the scripts one after the other in one process: loading TensorFlow takes seconds.
RUN_ALL = """
import contextlib, io, json, runpy, sys
data, *paths = sys.argv[1:]
outputs = []
for path in paths:
    sys.argv = [path, data]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        runpy.run_path(path, run_name="__main__")
    outputs.append(printed.getvalue())
print(json.dumps(outputs))
"""


def python(folder: Path, *arguments: object) -> str:
    """What Python prints, started as a student would, where this project cannot be imported."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def data_file(drawn, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.npz"
    path.write_bytes(export.data_npz(drawn))
    return path


@pytest.fixture(scope="module")
def runs(drawn) -> dict[str, Run]:
    return {
        name: train(TrainConfig(**{**SMALL, **changes}), drawn) for name, changes in CONFIGS.items()
    }


@pytest.fixture(scope="module")
def printed(runs, drawn, data_file, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("scripts")
    paths = [folder / f"{index}.py" for index in range(len(runs))]
    for path, run in zip(paths, runs.values(), strict=True):
        path.write_text(export.script(run.config, drawn, run))
    output = python(folder, "-c", RUN_ALL, data_file, *paths)
    return dict(zip(runs, json.loads(output), strict=True))


def losses_in(output: str) -> np.ndarray:
    found = re.findall(r"^step \d+  loss (\S+)$", output, re.M)
    return np.array([float(loss) for loss in found], np.float32)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_script_repeats_the_run_to_the_last_bit(name, runs, printed):
    run = runs[name]
    assert len(run.losses) == 8
    np.testing.assert_array_equal(losses_in(printed[name]), np.float32(run.losses))
    accuracy = float(re.search(r"^test accuracy (\S+)%", printed[name], re.M)[1])
    assert accuracy == pytest.approx(100 * run.test_accuracy, abs=0.006)


def test_the_script_stands_alone_and_stops_where_told(runs, drawn, data_file, tmp_path):
    run = runs["batch"]
    text = export.script(run.config, drawn, run)
    assert "import normlib" not in text and "streamlit" not in text
    name = export.script_name(run.config)
    (tmp_path / name).write_text(text)
    output = python(tmp_path, name, data_file, "--steps", 3)
    np.testing.assert_array_equal(losses_in(output), np.float32(run.losses[:3]))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_script_has_only_what_its_run_reads(name, drawn):
    """A name that is defined and never used would be a setting that does nothing."""
    text = export.script(TrainConfig(**{**SMALL, **CONFIGS[name]}), drawn)
    defined = re.findall(r"^(?:def )?(\w+)(?: =|\()", text, re.M)
    unused = [name for name in defined if len(re.findall(rf"\b{name}\b", text)) < 2]
    assert "BATCH_SIZE" in defined and not unused
    assert max(map(len, text.splitlines())) <= 100


def test_a_change_of_the_config_changes_what_the_script_prints(printed):
    """Scripts that ignored their options would agree with each other, not with their runs."""
    losses = [tuple(losses_in(printed[name])) for name in ("batch", "ghost batches", "after ReLU")]
    assert len(set(losses)) == 3


def test_the_history_has_every_step_and_every_epoch(runs):
    run = runs["batch"]
    rows = list(csv.DictReader(io.StringIO(export.history_csv(run))))
    assert [float(row["loss"]) for row in rows] == run.losses
    assert [int(row["epoch"]) for row in rows] == [1] * 4 + [2] * 4
    ends = [row for row in rows if row["validation_accuracy"]]
    assert [int(row["step"]) for row in ends] == [4, 8]
    assert [float(row["report_loss"]) for row in ends] == [e.report_loss for e in run.epochs]
    recorded = [row for row in rows if row["conv_input_p50"]]
    assert [int(row["step"]) for row in recorded] == run.recorded["step"]
    median = [values[1] for values in run.recorded["conv_input"]]
    assert [float(row["conv_input_p50"]) for row in recorded] == median


def test_the_history_of_a_run_that_was_stopped(drawn):
    """Its epoch results stay in the lines of their own epochs."""
    seen = []
    config = TrainConfig(epochs=3, train_size=200, batch_size=64, hidden_units=8)
    run = train(config, drawn, seen.append, lambda: len(seen) > 4)
    assert run.status == "stopped" and len(run.epochs) == 1 and 4 < len(run.losses) < 12
    rows = list(csv.DictReader(io.StringIO(export.history_csv(run, len(drawn.train_labels)))))
    assert [row["step"] for row in rows if row["validation_accuracy"]] == ["4"]
    assert len(rows) == len(run.losses)


def test_the_history_of_a_run_that_diverged(drawn):
    # One value per channel has variance 0, and without an epsilon it is divided by 0.
    config = TrainConfig(batch_size=1, placement="conv and dense", epsilon=0.0, train_size=20)
    run = train(config, drawn)
    assert run.status == "diverged"
    rows = list(csv.DictReader(io.StringIO(export.history_csv(run, len(drawn.train_labels)))))
    assert len(rows) == len(run.losses) and not np.isfinite(float(rows[-1]["loss"]))


def test_settings_and_runs_are_read_back(runs):
    run = runs["another momentum"]
    assert TrainConfig.from_json(export.config_json(run.config)) == run.config
    again = Run.from_dict(json.loads(export.run_json(run)), run.arrays())
    assert again.losses == run.losses and again.config == run.config


def test_the_saved_data_are_the_data(drawn, data_file):
    with np.load(data_file) as file:
        np.testing.assert_array_equal(file["x_train"][200:], drawn.train_images[..., 0])
        np.testing.assert_array_equal(file["y_train"][:200], drawn.validation_labels)
        np.testing.assert_array_equal(file["x_test"], drawn.test_images[..., 0])
