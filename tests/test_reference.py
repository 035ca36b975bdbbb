"""Own ops against TensorFlow's and Keras's: closeness at equal settings, distance at defaults."""

import numpy as np
import pytest
import tensorflow as tf

from normlib import normalize
from pages.lab import reference

RNG = np.random.default_rng(5)
X = RNG.standard_normal((8, 8, 8, 10)).astype(np.float32)
V = RNG.standard_normal((5, 5, 1, 10)).astype(np.float32)


def compared(defaults: bool) -> dict[tuple[str, str], reference.Comparison]:
    rows = reference.compare(X, V, library_defaults=defaults, repeats=1)
    named = {(row.own, row.library): row for row in rows}
    assert len(named) == len(rows) == 11
    return named


@pytest.fixture(scope="module")
def equal():
    return compared(defaults=False)


@pytest.fixture(scope="module")
def default():
    return compared(defaults=True)


def test_equal_settings_leave_only_rounding(equal):
    for names, row in equal.items():
        assert row.differences["output"] < 1e-5, names
        for what, difference in row.differences.items():
            if what == "moving variance" and "fused" in row.library:
                continue  # unbiased: see below
            assert difference < 1e-4, (names, what)  # sums of 512 numbers of size 1


def test_own_ops_are_as_exact_as_the_library(equal):
    for names, row in equal.items():
        for what, error in row.own_errors.items():
            # The tape adds up dgamma and dbeta in one go, however the op was written.
            factor = 6 if what in ("dgamma", "dbeta") else 2
            assert error <= factor * row.library_errors[what] + 1e-7, (names, what, error)


def test_batch_norm_of_a_whole_batch_of_images_is_no_less_exact_than_tensorflows():
    x = RNG.standard_normal((64, 28, 28, 4)).astype(np.float32)
    truth = normalize.batch_norm(x.astype(np.float64), None, None, 1e-5)

    def error(op):
        return np.abs(op(tf.constant(x), tf.ones(4), tf.zeros(4), 1e-5) - truth.numpy()).max()

    own = error(normalize.batch_norm)
    for op in (reference.tf_batch_norm, reference.fused_batch_norm, reference.keras_batch_norm):
        assert own <= 2 * error(op)


def test_fused_batch_norm_keeps_the_unbiased_variance(equal):
    row = equal["batch norm", "tf.nn.fused_batch_norm"]
    assert row.differences["moving variance"] > 10 * row.library_errors["moving variance"]
    x = tf.constant(X)
    _, fused = reference.fused_moving_statistics(x, 0.9)
    np.testing.assert_allclose(fused, 0.9 + 0.1 * X.var((0, 1, 2), ddof=1), rtol=1e-6)
    for statistics in (reference.moving_statistics, reference.keras_moving_statistics):
        mean, biased = statistics(x, 0.9)
        np.testing.assert_allclose(mean, 0.1 * X.mean((0, 1, 2)), atol=1e-7)
        np.testing.assert_allclose(biased, 0.9 + 0.1 * X.var((0, 1, 2)), rtol=1e-6)


def test_library_defaults_are_another_computation(default):
    for names in (
        ("batch norm", "keras BatchNormalization"),
        ("layer norm", "keras LayerNormalization"),
        ("layer norm per position", "keras LayerNormalization"),
        ("group norm", "keras GroupNormalization"),
    ):
        row = default[names]
        errors = row.own_errors["output"] + row.library_errors["output"]
        assert row.differences["output"] > 100 * errors, names
        assert "epsilon 1e-05" in row.own_settings
        assert "epsilon 0.001" in row.library_settings
    assert default["layer norm", "keras LayerNormalization"].differences["output"] > 0.5
    moving = default["batch norm", "keras BatchNormalization"]
    assert moving.differences["moving mean"] > 100 * moving.own_errors["moving mean"]


def test_each_side_is_judged_by_its_own_settings(default):
    for names, row in default.items():
        assert row.library_errors["output"] < 1e-5, names
        assert row.own_errors["output"] < 1e-5, names


def test_rows_carry_every_gradient_and_a_time(equal):
    for (own, library), row in equal.items():
        keys = ["output", "dx", "dgamma", "dbeta"]
        if own == "weight norm":
            keys = ["output", "dv", "dg"]
        elif own.startswith("RMS"):
            keys = keys[:3]
        elif own == "batch norm" and library != "tf.nn.batch_normalization":
            keys += ["moving mean", "moving variance"]
        assert list(row.differences) == keys
        assert set(keys) <= set(row.own_errors) and set(keys) <= set(row.library_errors)
        assert row.own_milliseconds > 0 and row.library_milliseconds > 0


@pytest.mark.parametrize(
    "op",
    [
        reference.keras_batch_norm,
        reference.keras_layer_norm,
        reference.keras_instance_norm,
        reference.tf_batch_norm,
    ],
)
def test_a_reference_is_a_pure_function_of_its_arguments(op):
    x, gamma, beta = tf.constant(X), tf.fill([10], 2.0), tf.fill([10], 1.0)
    if op is reference.keras_layer_norm:
        gamma, beta = tf.fill(X.shape[1:], 2.0), tf.fill(X.shape[1:], 1.0)
    first = op(x, gamma, beta, 1e-5)
    np.testing.assert_allclose(op(x, 2 * gamma, beta, 1e-5) - 1, 2 * (first - 1), atol=1e-5)
    np.testing.assert_array_equal(op(x, gamma, beta, 1e-5), first)
    plain = op(x, None, None, 1e-5)
    np.testing.assert_allclose(2 * plain + 1, first, atol=1e-5)
