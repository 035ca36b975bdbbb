"""A config refuses what cannot be, in a sentence, and names its run."""

import math
import subprocess
import sys
from dataclasses import replace

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
    one, other = TrainConfig(epochs=4.0, learning_rate=1), TrainConfig(learning_rate=1.0)
    assert one.key("d") == other.key("d")


def test_what_the_method_reads_is_in_the_key_and_nothing_else():
    for method in METHODS:
        config = TrainConfig(normalization=method)
        keys = {config.key("d"), config.key("other data")}
        for change in ({"seed": 1}, {"learning_rate": 0.1}, {"hidden_units": 60}):
            keys.add(replace(config, **change).key("d"))
        assert len(keys) == 5
    plain, batch = TrainConfig(normalization="none"), TrainConfig()
    assert plain.key("d") == replace(plain, epsilon=0.1, momentum=0.5).key("d")
    assert batch.key("d") != replace(batch, epsilon=0.1).key("d")


@pytest.mark.parametrize(
    ("script", "strangers"),
    [
        (
            "import normlib, pages.lab.queue, pages.lab.store, normlib.digits\n"
            "normlib.TrainConfig(epochs=3), normlib.load_mnist",
            {"tensorflow", "keras"},
        ),
        (
            "import pkgutil, importlib, normlib\n"
            "for module in pkgutil.iter_modules(normlib.__path__):\n"
            "    importlib.import_module(f'normlib.{module.name}')",
            {"streamlit", "altair"},
        ),
    ],
    ids=["settings need no TensorFlow", "normlib knows no pixels"],
)
def test_what_an_import_does_not_load(script, strangers):
    script += f"\nimport sys; assert not {strangers} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("method", METHODS)
def test_epsilon_counts_where_something_is_divided_by_the_root(method):
    keys = {
        TrainConfig(normalization=method, scale=False, epsilon=epsilon).key("d")
        for epsilon in (1e-5, 0.1)
    }
    assert len(keys) == (2 if method == "tf_batch" else 1)  # TensorFlow's own always divides


def test_a_run_of_before_a_setting_was_there_keeps_its_name():
    assert TrainConfig().key("0" * 64) == "17d93ef6bdef72578e6f497d65110a2c"
    assert TrainConfig(start_scale=0.2).key("0" * 64) != TrainConfig().key("0" * 64)
