"""A config refuses what cannot be, in a sentence, and names its run."""

import dataclasses
import math
import subprocess
import sys

import pytest

from normlib.config import CHOICES, LIMITS, METHODS, TrainConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, low - 1) for name, (low, _) in LIMITS.items()),
        *((name, high + 1) for name, (_, high) in LIMITS.items()),
        *((name, math.nan) for name in LIMITS),
        *((name, "12") for name in LIMITS),
        *((name, True) for name in LIMITS),
        *((name, None) for name in (*LIMITS, *CHOICES)),
        *((name, "no such") for name in CHOICES),
        ("batch_size", 2.5),
        ("learn_scale_shift", 1),
        ("normalization", ["batch"]),
    ],
)
def test_impossible_values_get_one_sentence(name, value):
    with pytest.raises(ValueError, match=rf"^{name} must be .*\.$"):
        TrainConfig(**{name: value})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"batch_size": 10, "ghost_batches": 3}, "ghost_batches must divide the batch"),
        ({"normalization": "group", "groups": 7}, "groups must divide the channels"),
        (
            {"normalization": "group", "placement": "conv and dense", "hidden_units": 99},
            "99 channels cannot be split",
        ),
        ({"normalization": "instance", "placement": "conv and dense"}, "Instance norm averages"),
    ],
)
def test_settings_that_cannot_go_together_get_one_sentence(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        TrainConfig(**settings)


def test_every_limit_itself_is_possible():
    for name, bounds in LIMITS.items():
        for value in bounds:
            extra = {"batch_size": 64} if name == "ghost_batches" else {}
            assert getattr(TrainConfig(**{name: value, **extra}), name) == value


def test_json_brings_the_config_back():
    config = TrainConfig(normalization="layer", epsilon=1e-8, learn_scale_shift=False, seed=7)
    assert TrainConfig.from_json(config.to_json()) == config
    with pytest.raises(ValueError, match="no setting called speed"):
        TrainConfig.from_dict({"speed": 3})


def test_equal_configs_have_equal_keys_however_their_numbers_are_written():
    assert TrainConfig(epochs=4.0, learning_rate=1).key("d") == TrainConfig(learning_rate=1.0).key(
        "d"
    )


def test_what_the_method_reads_is_in_the_key_and_nothing_else():
    for method in METHODS:
        config = TrainConfig(normalization=method)
        keys = {config.key("d")}
        for name, value in {"seed": 1, "learning_rate": 0.1, "hidden_units": 60}.items():
            keys.add(dataclasses.replace(config, **{name: value}).key("d"))
        keys.add(config.key("other data"))
        assert len(keys) == 5
    plain = TrainConfig(normalization="none")
    assert plain.key("d") == dataclasses.replace(plain, epsilon=0.1, momentum=0.5).key("d")
    batch = TrainConfig(normalization="batch")
    assert batch.key("d") != dataclasses.replace(batch, epsilon=0.1).key("d")


def test_a_page_can_check_settings_without_tensorflow():
    script = (
        "import sys, normlib, pages.lab.queue, pages.lab.store, normlib.digits\n"
        "normlib.TrainConfig(epochs=3), normlib.load_mnist\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_normlib_knows_no_pixels():
    script = (
        "import sys, pkgutil, importlib, normlib\n"
        "for module in pkgutil.iter_modules(normlib.__path__):\n"
        "    importlib.import_module(f'normlib.{module.name}')\n"
        "assert not {'streamlit', 'altair'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("method", METHODS)
def test_epsilon_counts_where_something_is_divided_by_the_root(method):
    keys = {
        TrainConfig(normalization=method, scale=False, epsilon=epsilon).key("d")
        for epsilon in (1e-5, 0.1)
    }
    assert len(keys) == (2 if method == "tf_batch" else 1)  # TensorFlow's own always divides
