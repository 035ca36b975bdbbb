"""The first twenty steps of every kind of training are, to the last bit, those once recorded.

The last bits depend on the processor and on TensorFlow. On a machine like one of the recorded
ones each loss and each prediction is compared exactly, on any other one closely.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
import tensorflow as tf
from frozen import RECORDING, freeze, frozen

import normlib

STEPS = 20
# Steps in which rounding has not yet grown. Later a step may enlarge it many times over: between
# two families of processors a single loss was seen to differ by one per cent.
CLOSE = 5
CONFIGS = {
    "none": {"normalization": "none"},
    "batch": {},
    "weight": {"normalization": "weight"},
    "layer": {"normalization": "layer", "placement": "conv and dense"},
    "group": {"normalization": "group", "placement": "conv and dense", "groups": 10},
    "instance": {"normalization": "instance"},
    "rms": {"normalization": "rms", "epsilon": 0.1},
    "tf_batch": {"normalization": "tf_batch", "placement": "conv and dense", "momentum": 0.5},
    "weight, g = 1": {
        "normalization": "weight",
        "weight_norm_start": "one",
        "placement": "conv and dense",
    },
    "weight, first batch": {"normalization": "weight", "weight_norm_start": "data", "seed": 7},
    "weight, constant": {"normalization": "weight", "weight_norm_start": "constant"},
    "as the report ran": {
        "learn_scale_shift": False,
        "inference_statistics": "batch",
        "epsilon": 1e-8,
    },
    "not centered": {"center": False, "placement": "conv and dense", "hidden_units": 30},
    "not scaled": {"normalization": "layer", "scale": False, "learning_rate": 0.001},
    "after ReLU": {"position": "after ReLU", "placement": "conv and dense", "seed": 2**31 - 1},
    "deep": {"depth": 6, "residual": "pre", "start_scale": 0.2},
    "deep, layer": {"normalization": "layer", "depth": 3, "residual": "post"},
    "ghost batches": {"ghost_batches": 4, "batch_size": 16, "momentum": 0.99},
}


def config(name: str) -> normlib.TrainConfig:
    changed = {"batch_size": 32, "epochs": 1} | CONFIGS[name]
    return normlib.TrainConfig(train_size=STEPS * changed["batch_size"], **changed)


def machine() -> str:
    """What decides the last bits: the family of the processor, and TensorFlow."""
    told = Path("/proc/cpuinfo")
    lines = (told.read_text().split("\n\n")[0] if told.exists() else "").splitlines()
    parts = dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
    kind = ", ".join(f"{name} {parts.get(name)}" for name in ("vendor_id", "cpu family", "model"))
    return f"{kind}, tensorflow {tf.__version__}"


@pytest.fixture(scope="module", params=["MNIST", "drawn digits"])
def data(request) -> normlib.Dataset:
    whole = request.getfixturevalue("mnist" if request.param == "MNIST" else "drawn")
    cut = {
        f"{part}_{kind}": getattr(whole, f"{part}_{kind}")[:500]
        for part in ("validation", "test")
        for kind in ("images", "labels")
    }
    return replace(whole, **cut)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_training_takes_the_frozen_steps(name, data):
    run = normlib.train(config(name), data)
    now = {
        "losses": [loss.hex() for loss in run.losses],
        "predictions": hashlib.sha256(run.predictions.tobytes()).hexdigest(),
        "test_accuracy": run.test_accuracy,
    }
    if RECORDING:
        freeze("training", now, machine(), data.name, name)
    recordings = frozen("training")
    if machine() in recordings:
        assert now == recordings[machine()][data.name][name]
        return
    then = next(iter(recordings.values()))[data.name][name]
    losses = [float.fromhex(loss) for loss in then["losses"]]
    assert run.losses[:CLOSE] == pytest.approx(losses[:CLOSE], rel=1e-4)
    off = [abs(loss / before - 1) for loss, before in zip(run.losses, losses, strict=True)]
    assert median(off) < 2e-3 and max(off) < 0.1
    assert run.test_accuracy == pytest.approx(then["test_accuracy"], abs=0.03)


def test_every_method_and_every_choice_is_among_them():
    from normlib.config import CHOICES

    configs = [config(name) for name in CONFIGS]
    for field, choices in CHOICES.items():
        assert {getattr(one, field) for one in configs} == set(choices), field
