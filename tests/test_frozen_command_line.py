"""`python -m normlib train` writes the run that it once wrote, and `data` still names MNIST."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from frozen import RECORDING, freeze, frozen

OPTIONS = {
    "batch norm": "--train-size 640 --epochs 1",
    "layer norm": "--normalization layer --placement conv+dense --train-size 640 --epochs 1 "
    "--batch-size 32 --learning-rate 0.05 --seed 3 --no-learn-scale-shift",
}
CLOCK = ("seconds", "images_per_second", "versions")


def normlib(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "normlib", *arguments]
    return subprocess.run(
        command,
        cwd=Path(__file__).parents[1],
        env=os.environ | {"NORMLAB_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def without_clock(run: dict) -> dict:
    """The run without what the clock and the installation decide; their names are kept."""
    kept = {name: None if name in CLOCK else value for name, value in run.items()}
    epochs = [epoch | {"seconds": None} for epoch in kept["epochs"]]
    return kept | {"epochs": epochs}


def assert_close(now, then, where: str) -> None:
    """Equal, and numbers equal to within rounding on another processor."""
    if isinstance(then, dict):
        assert sorted(now) == sorted(then), where
        for name in then:
            assert_close(now[name], then[name], f"{where} {name}".strip())
    elif isinstance(then, list):
        assert len(now) == len(then), where
        for index, (one, other) in enumerate(zip(now, then, strict=True)):
            assert_close(one, other, f"{where}[{index}]")
    elif isinstance(then, float):
        # On another processor an image may be read otherwise, or a unit live: half a point of an
        # accuracy, one of a batch. What is measured behind the steps has grown more rounding.
        counted = "batch_accuracies" in where or "dead" in where
        off = 0.04 if counted else 0.005 if "accuracy" in where else 1e-6
        if "bias_gradient" in where:  # behind batch norm it is a sum that cancels
            off = 1e-5
        rel = 1e-4 if "loss" in where else 2e-3
        assert now == pytest.approx(then, rel=rel, abs=off), where
    else:
        assert now == then, where


@pytest.mark.parametrize("name", OPTIONS)
def test_train_writes_the_frozen_run(name, mnist, tmp_path):
    file = tmp_path / "run.json"
    options = [word.replace("conv+dense", "conv and dense") for word in OPTIONS[name].split()]
    done = normlib(tmp_path, "train", *options, "--json", str(file))
    assert done.returncode == 0, done.stderr
    now = without_clock(json.loads(file.read_text()))
    if RECORDING:
        freeze("command_line", now, name)
    assert_close(now, frozen("command_line")[name], "")
    assert f"{now['test_accuracy']:.2%}" in done.stdout


def test_data_names_mnist(mnist, tmp_path):
    done = normlib(tmp_path, "data")
    assert done.returncode == 0 and "MNIST" in done.stdout
    assert "55,000" in done.stdout and "10,000" in done.stdout
