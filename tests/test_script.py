"""The exported script must repeat the run, and hold nothing that its run does not read."""

import inspect
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from normlib import cnn, normalize, training
from normlib.config import METHODS, TrainConfig
from normlib.run import Run
from normlib.training import train
from pages.lab import export, script

SMALL = {"epochs": 2, "train_size": 200, "batch_size": 64, "hidden_units": 12, "epsilon": 1e-3}
CONFIGS = {
    **{name: {"normalization": name} for name in METHODS},
    "both layers, batch": {"normalization": "batch", "placement": "conv and dense"},
    "both layers, layer": {"normalization": "layer", "placement": "conv and dense"},
    "g = 1": {"normalization": "weight", "weight_norm_start": "one"},
    "from data": {
        "normalization": "weight",
        "weight_norm_start": "data",
        "placement": "conv and dense",
    },
    "constant": {"normalization": "weight", "weight_norm_start": "constant"},
    "as the report ran it": {
        "learn_scale_shift": False,
        "inference_statistics": "batch",
        "epsilon": 1e-8,
    },
    "scale only": {"center": False},
    "nothing at all": {"center": False, "scale": False, "learn_scale_shift": False},
    "after ReLU": {"position": "after ReLU"},
    "ghost batches": {"ghost_batches": 4},
    "other first weights": {"start_scale": 0.02, "first_scale": 5.6},
    "deep": {"depth": 6, "residual": "pre"},
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
def runs_and_printed(drawn, data_file, tmp_path_factory) -> tuple[dict[str, Run], dict[str, str]]:
    """Each config's run, and what its script prints; the scripts run beside the trainings."""
    configs = {name: TrainConfig(**{**SMALL, **changes}) for name, changes in CONFIGS.items()}
    folder = tmp_path_factory.mktemp("scripts")
    paths = [folder / f"{index}.py" for index in range(len(configs))]
    for path, config in zip(paths, configs.values(), strict=True):
        path.write_text(script.write(config, drawn))
    with ThreadPoolExecutor(1) as beside:
        output = beside.submit(python, folder, "-c", RUN_ALL, data_file, *paths)
        runs = {name: train(config, drawn) for name, config in configs.items()}
    return runs, dict(zip(configs, json.loads(output.result()), strict=True))


@pytest.fixture(scope="module")
def runs(runs_and_printed) -> dict[str, Run]:
    return runs_and_printed[0]


@pytest.fixture(scope="module")
def printed(runs_and_printed) -> dict[str, str]:
    return runs_and_printed[1]


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
    text = script.write(run.config, drawn, run)
    assert "import normlib" not in text and "streamlit" not in text
    name = script.file_name(run.config)
    (tmp_path / name).write_text(text)
    output = python(tmp_path, name, data_file, "--steps", 3)
    np.testing.assert_array_equal(losses_in(output), np.float32(run.losses[:3]))


def test_a_script_has_only_what_its_run_may_reach(drawn):
    """A definition that nothing uses would be one that the script could do without."""
    text = script.write(TrainConfig(**SMALL), drawn)
    defined = re.findall(r"^(?:def |class )?(\w+)(?: =|:.* =|\(|:)", text, re.M)
    unused = [name for name in defined if len(re.findall(rf"\b{name}\b", text)) < 2]
    assert {"CONFIG", "SmallCNN", "sgd_step", "main"} <= set(defined) and not unused


def test_a_script_is_the_source_that_the_lab_runs(drawn):
    text = script.write(TrainConfig(**SMALL), drawn)
    for function in (normalize.average, cnn.SmallCNN, training.sgd_step, training.batches):
        assert inspect.getsource(function).strip() in text


def test_a_change_of_the_config_changes_what_the_script_prints(printed):
    """Scripts that ignored their options would agree with each other, not with their runs."""
    losses = [tuple(losses_in(printed[name])) for name in ("batch", "ghost batches", "after ReLU")]
    assert len(set(losses)) == 3
