"""The backward pass taken apart: the tape's numbers, and what the sentences are made of."""

import re

import numpy as np
import pytest
import tensorflow as tf

from normlib import gradients, normalize
from normlib.config import TrainConfig
from pages.lab import backward, latex
from pages.lab.arithmetic import TABLES, normalization_steps, parse_table

TABLE = parse_table(TABLES["default"], (4,), 3)
EPSILON = 1e-3


def taken_apart(method, kind, gamma=1.0, epsilon=EPSILON, x=TABLE, **options):
    forward = normalization_steps(method, x, gamma, 0.0, epsilon)
    dz = backward.incoming(kind, forward, (0, 1), seed=3)
    return backward.backward_steps(method, x, dz, gamma, epsilon, **options)


@pytest.mark.parametrize("method", ["batch", "layer", "rms"])
@pytest.mark.parametrize("kind", backward.INCOMING)
def test_the_terms_add_up_to_what_the_tape_finds(method, kind):
    steps = taken_apart(method, kind, gamma=1.5)
    x = tf.constant(TABLE)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = normalize.apply(method, x, 1.5, None, EPSILON)
    np.testing.assert_allclose(steps.dx, tape.gradient(z, x, steps.dz), atol=1e-12)
    np.testing.assert_allclose(steps.dx, sum(steps.parts.values()), atol=1e-15)


def test_each_written_term_is_the_number_of_its_bar():
    steps = taken_apart("layer", "random", gamma=1.5)
    for cell in np.ndindex(TABLE.shape):
        *written, total = backward.written_backward(steps, cell)
        bars = steps.terms(cell)
        assert sum(bars.values()) == pytest.approx(steps.dx[cell], abs=1e-12)
        assert total == f"dx = {latex.tex(steps.dx[cell])}"
        for line, value in zip(written, bars.values(), strict=True):
            assert re.split(r"=|\\approx", line)[-1].strip() == latex.tex(value)
    assert list(taken_apart("rms", "one").terms((0, 0))) == ["direct", "via the denominator"]


def test_a_common_shift_cannot_be_had():
    steps = taken_apart("batch", "equal")
    assert not steps.dx.any()
    assert steps.total(steps.dx, (0, 0)) == 0
    assert np.abs(taken_apart("batch", "equal", constants=True).dx).min() > 0.1


@pytest.mark.parametrize("method", ["batch", "layer", "rms"])
@pytest.mark.parametrize("epsilon", [1e-5, 1e-2, 1.0])
def test_of_a_common_stretch_epsilons_share_is_left(method, epsilon):
    steps = taken_apart(method, "along", gamma=2.0, epsilon=epsilon)
    for cell in np.ndindex(TABLE.shape):
        left = backward.stretch_left(steps.forward, cell)
        assert steps.dx[cell] == pytest.approx(left * steps.direct[cell], rel=1e-6, abs=1e-13)
    assert backward.stretch_left(normalization_steps("batch", TABLE, epsilon=1.0), (0, 1)) == (
        pytest.approx(1 / (np.var(TABLE[:, 1]) + 1))
    )


def test_weight_norms_gradient_is_orthogonal_and_its_length_grows():
    walk = backward.walk((0.1, 1.0), steps=60, seed=0)
    assert np.abs(walk.cosines).max() < 1e-14
    assert (np.diff(walk.norms, axis=0) > 0).all() and not walk.shrank.any()
    # Pythagoras: what ||v||² gains is the squared length of the step.
    moved = np.square(np.diff(walk.v, axis=0)).sum(axis=1)
    np.testing.assert_allclose(np.diff(walk.norms**2, axis=0), moved, atol=1e-12)


def test_with_decay_and_with_adam_v_shrinks_too():
    shrank = {
        rule: int(backward.walk((0.1,), 200, 0, rule).shrank[0]) for rule in ("decay", "adam")
    }
    assert shrank == {"decay": 136, "adam": 42}


def test_adams_steps_are_those_of_keras():
    keras = tf.keras.optimizers.Adam(0.1)
    v = tf.Variable([[1.0], [0.0]], dtype=tf.float64)
    for dw in np.random.default_rng(2).standard_normal((5, 2, 1)):
        dv = gradients.weight_norm_backward(
            tf.constant(dw), tf.constant(v.numpy()), tf.ones(1, tf.float64)
        ).dv
        keras.apply_gradients([(dv, v)])
    np.testing.assert_allclose(backward.walk((0.1,), 5, 2, "adam").v[-1], v.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("method", "constants", "reached"),
    [("batch", False, "column"), ("layer", False, "row"), ("batch", True, "cell")],
)
def test_where_the_gradient_of_one_z_gets_to(method, constants, reached):
    assert taken_apart(method, "one", constants=constants).reached == reached
    assert taken_apart("batch", "one", x=TABLE[:1]).reached == "none"
    assert taken_apart(method, "random", constants=constants).reached == "all"


def test_a_longer_v_turns_less():
    walk = backward.walk((0.01, 1.0), steps=200, seed=0)
    assert walk.slowed[0] > 0.95 and walk.slowed[1] < 0.1


def test_the_bias_before_batch_norm_has_no_gradient(drawn):
    methods = ("none", "batch", "weight", "layer")
    found = backward.bias_gradients(TrainConfig(seed=1), drawn, methods, images=8)
    assert found["batch"] < 1e-10 * found["none"]
    assert found["layer"] > 0.01
    assert found["weight"] == pytest.approx(found["none"], rel=1e-6)  # g = ||v||: the same network


def test_the_last_batch_of_an_epoch_may_be_short():
    config = TrainConfig(batch_size=48, train_size=1000, epochs=2)
    assert backward.all_steps(config, 55_000) == 42
    short = [n for n in range(1, 43) if not backward.is_full_batch(config, 55_000, n)]
    assert short == [21, 42]
    assert not backward.is_full_batch(config, 100, 3) and backward.all_steps(config, 100) == 6
    for even in (TrainConfig(batch_size=50, train_size=1000), TrainConfig(batch_size=1024)):
        assert backward.is_full_batch(even, 1000, backward.all_steps(even, 1000))


def test_late_and_early_gradients():
    assert backward.late_median([9.0, 8.0, 7.0, 1.0, 2.0, 3.0]) == 2.0
    assert backward.has_shrunk([9.0, 8.0, 7.0, 1.0, 2.0, 3.0])
    assert not backward.has_shrunk([1.0, 2.0, 3.0, 4.0])
    assert not backward.has_shrunk([2.0, 1.0])
