"""The backward passes by hand, and that the check finds every planted mistake."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from normlib import fast, gradients, normalize
from pages.lab import gradient_check

RNG = np.random.default_rng(11)
IMAGES = RNG.normal(0.5, 2.0, (4, 3, 2, 4))
METHODS = ("batch", "layer", "group", "instance", "rms", "weight")


@cache
def checked(method, mistake=None):
    return gradient_check.check(method, IMAGES, mistake=mistake)


def by_name(rows):
    return {row.name: row for row in rows}


def on_tape(op, tensors, dz=None):
    """What the op gives (the first of it is z), and TensorFlow's gradients of sum(z * dz)."""
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        results = op(*tensors)
        results = results if isinstance(results, tuple) else (results,)
    return [*results, *tape.gradient(results[0], tensors, dz)]


# --- four ways, one gradient --------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_four_ways_agree_on_every_gradient(method):
    rows = checked(method)
    expected = {"weight": ["v", "g"], "rms": ["x", "gamma"]}.get(method, ["x", "gamma", "beta"])
    assert [row.name for row in rows] == expected
    for row in rows:
        assert len(row.differences) == 6
        assert row.worst < 1e-8, (row.name, row.differences)
        assert np.abs(row.by_hand).max() > 0.1  # there is something to agree on


@pytest.mark.parametrize("method", ["batch", "layer", "group", "rms", "weight"])
def test_four_ways_agree_on_a_dense_layer(method):
    assert all(row.agrees for row in gradient_check.check(method, IMAGES[:, 0, 0]))


@pytest.mark.parametrize(
    ("method", "mistake"),
    [(method, mistake) for method in METHODS for mistake in gradient_check.mistakes(method)],
)
def test_a_planted_mistake_is_found(method, mistake):
    rows = by_name(checked(method, mistake))
    row = rows["v" if method == "weight" else "x"]
    assert not row.agrees
    assert row.differences["by hand", "library"] < 1e-8  # the mistake is in the op under test
    assert row.differences["by hand", "tape"] > gradient_check.TOLERANCE


@pytest.mark.parametrize("method", METHODS)
def test_constant_statistics_pass_on_gamma_and_beta_and_fail_on_x(method):
    name = "norm as a constant" if method == "weight" else "statistics as constants"
    first, *others = checked(method, name)
    assert not first.agrees
    assert all(row.agrees for row in others)
    # The values are right, so even the differences of the mistaken op tell the truth.
    assert first.differences["by hand", "central differences"] < 1e-8


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(IMAGES[:1, 0, 0], id="a batch of one"),
        pytest.param(IMAGES[:2, 0, 0], id="a batch of two"),
        pytest.param(np.where(np.arange(4) == 1, 0.7, IMAGES), id="a constant channel"),
        pytest.param(IMAGES + 1000, id="a large mean"),
        pytest.param(IMAGES * 1e-4, id="small numbers"),
    ],
)
def test_the_check_raises_no_false_alarm(x):
    assert all(row.agrees for row in gradient_check.check("batch", x))


def test_given_parameters_and_projection_are_used():
    gamma, beta, dz = RNG.normal(1, 0.5, 4), RNG.standard_normal(4), RNG.normal(size=IMAGES.shape)
    rows = by_name(gradient_check.check("batch", IMAGES, gamma, beta, dz))
    np.testing.assert_allclose(rows["beta"].by_hand, dz.sum((0, 1, 2)), rtol=1e-12)
    doubled = by_name(gradient_check.check("batch", IMAGES, 2 * gamma, beta, dz))
    np.testing.assert_allclose(doubled["x"].tape, 2 * rows["x"].tape, rtol=1e-12)


# --- worked by hand -----------------------------------------------------------------------------


def test_batch_norm_backward_by_hand():
    # x = -1, 1: mean 0, variance 1, root 2 with epsilon 3, x_hat = -1/2, 1/2.
    # dx_hat = 2 dz = 2, 6: average 4, average with x_hat (-1 + 3) / 2 = 1.
    # dx = (2 - 4 + 1/2) / 2, (6 - 4 - 1/2) / 2.
    x, dz = tf.constant([[-1.0], [1.0]]), tf.constant([[1.0], [3.0]])
    dx, dgamma, dbeta = gradients.backward("batch", x, [2.0], [5.0], 3.0, dz)
    np.testing.assert_allclose(dx, [[-0.75], [0.75]], rtol=1e-6)
    np.testing.assert_allclose(dgamma, [1.0], rtol=1e-6)
    np.testing.assert_allclose(dbeta, [4.0], rtol=1e-6)


def test_weight_norm_backward_by_hand():
    # u = (3, 4) / 5; dw along u is 3/5; the rest, (1, 0) - 3/5 u = (16, -12) / 25, times g / 5.
    v, dw = tf.constant([[3.0], [4.0]]), tf.constant([[1.0], [0.0]])
    dv, dg = gradients.weight_norm_backward(dw, v, [10.0])
    np.testing.assert_allclose(dg, [0.6], rtol=1e-6)
    np.testing.assert_allclose(dv, [[1.28], [-0.96]], rtol=1e-6)


# --- what the terms mean ------------------------------------------------------------------------


def test_the_three_terms_add_up_and_take_away_shift_and_stretch():
    dx_hat = RNG.standard_normal(IMAGES.shape)
    x_hat, _, variance = normalize.standardize(IMAGES, (0, 1, 2), 0.0)
    terms = gradients.backward_terms(dx_hat, x_hat, tf.sqrt(variance), (0, 1, 2))
    dx = terms.dx
    np.testing.assert_allclose(terms.direct, dx_hat / np.sqrt(variance), atol=1e-14)
    np.testing.assert_allclose(np.sum(dx, (0, 1, 2)), np.zeros(4), atol=1e-12)
    np.testing.assert_allclose(np.sum(dx * IMAGES, (0, 1, 2)), np.zeros(4), atol=1e-12)
    assert np.abs(np.sum(terms.direct * IMAGES, (0, 1, 2))).min() > 1e-3


@pytest.mark.parametrize("center", [True, False])
def test_a_mean_left_in_leaves_out_its_term(center):
    x, dx_hat = tf.constant(IMAGES), RNG.standard_normal(IMAGES.shape)
    x_hat, _, variance, expected = on_tape(
        lambda x: normalize.standardize(x, (1, 2), 1e-3, center), [x], dx_hat
    )
    terms = gradients.backward_terms(dx_hat, x_hat, tf.sqrt(variance + 1e-3), (1, 2), center)
    np.testing.assert_allclose(terms.dx, expected, atol=1e-13)
    assert center or not np.any(terms.mean)


def test_the_gradient_of_v_is_orthogonal_to_v_so_that_v_grows():
    v, dw = RNG.standard_normal((3, 3, 2, 4)), RNG.standard_normal((3, 3, 2, 4))
    dv, _ = gradients.weight_norm_backward(dw, v, RNG.normal(1, 0.5, 4))
    np.testing.assert_allclose(np.sum(dv * v, (0, 1, 2)), np.zeros(4), atol=1e-13)
    before, after = (np.sum(k**2, (0, 1, 2)) for k in (v, v - 0.1 * np.asarray(dv)))
    assert (after > before).all()


def test_a_bias_before_batch_norm_has_no_gradient():
    bias, dz = tf.zeros(4, tf.float64), RNG.standard_normal(IMAGES.shape)
    _, found = on_tape(lambda b: normalize.batch_norm(IMAGES + b, None, None, 1e-5), [bias], dz)
    np.testing.assert_allclose(found, np.zeros(4), atol=1e-13)


@pytest.mark.parametrize(
    ("method", "shape"),
    [
        *((method, (4,)) for method in normalize.AXES),
        *(("layer", shape) for shape in ((3, 2, 4), (3, 1, 4), (1,), ())),
    ],
)
def test_every_method_is_differentiated_over_its_own_axes_from_arrays_too(method, shape):
    arrays = IMAGES, RNG.normal(1.0, 0.5, shape), RNG.normal(0.0, 1.0, shape)
    dz = RNG.standard_normal(IMAGES.shape)
    got = gradients.backward(method, *arrays, 1e-3, dz, groups=2)
    _, *expected = on_tape(
        lambda *tensors: normalize.apply(method, *tensors, 1e-3, groups=2),
        [tf.constant(array) for array in arrays],
        dz,
    )
    for mine, other, array in zip(got, expected, arrays, strict=True):
        assert mine.shape == array.shape
        np.testing.assert_allclose(mine, other, atol=1e-12)
    _, dgamma, dbeta = gradients.backward(method, IMAGES, None, None, 1e-5, IMAGES, groups=2)
    assert dgamma is None and dbeta is None


@pytest.mark.parametrize("name", ["gamma", "beta", "dz"])
def test_what_does_not_fit_is_refused_as_in_the_forward_pass(name):
    arguments = {"gamma": np.ones(4), "beta": np.ones(4), "dz": IMAGES, name: np.ones(3)}
    with pytest.raises(ValueError, match=rf"{name} has shape \(3,\), which does not fit"):
        gradients.backward("layer", IMAGES, epsilon=1e-5, **arguments)


@pytest.mark.parametrize("size", [1e-30, 1e-16, 1e-8, 1.0, 1e8, 1e16, 3e37])
def test_weight_norms_gradient_is_right_over_the_whole_range_of_float32(size):
    # As by hand above: dg = 3/5 g, dv = g / ||v|| * (16, -12) / 25, g as large as v.
    v, dw = np.float32([[3.0], [4.0]]) * np.float32(size), np.float32([[1.0], [0.0]])
    dv, dg = gradients.weight_norm_backward(dw, v, np.float32([size]))
    np.testing.assert_allclose(dg, [0.6], rtol=1e-6)
    np.testing.assert_allclose(dv, [[0.128], [-0.096]], rtol=1e-6)


def test_a_kernel_of_zeros_is_left_alone():
    v = tf.constant([[0.0, 3.0], [0.0, 4.0]])
    _, on_the_tape = on_tape(lambda v: normalize.weight_norm(v, [2.0, 2.0]), [v])
    by_hand = gradients.weight_norm_backward(np.ones_like(v), v, [2.0, 2.0])
    for dv in (on_the_tape, by_hand.dv):
        np.testing.assert_array_equal(dv[:, 0], 0)
        np.testing.assert_allclose(dv[:, 1], [0.064, -0.048], rtol=1e-5)
    np.testing.assert_allclose(by_hand.dg, [0, 1.4], rtol=1e-6)


# --- what the layers train with -----------------------------------------------------------------


@pytest.mark.parametrize(("center", "scale"), [(True, True), (False, True), (True, False)])
@pytest.mark.parametrize("owned", [(4,), (1, 1, 4), (3, 3, 4), ()])
@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 3), (1, 2), (3,), (0,)])
def test_the_layers_gradient_is_that_of_the_plain_formula(axes, owned, center, scale):
    x, dz = (tf.constant(RNG.standard_normal((5, 3, 3, 4)) + 1) for _ in range(2))
    gamma, beta = (tf.constant(RNG.standard_normal(owned)) for _ in range(2))

    def by_hand(x, gamma, beta):
        return fast.fast_normalized(x, gamma, beta, 1e-3, axes, center, scale)

    def plain(x, gamma, beta):
        x_hat, mean, variance = normalize.standardize(x, axes, 1e-3, center)
        x_hat = x_hat if scale else x - mean
        return normalize.scale_shift(x_hat, gamma, beta), mean, variance

    ways = (by_hand, plain, tf.function(by_hand))
    first, *others = (on_tape(way, [x, gamma, beta], dz) for way in ways)
    for other in others:
        for mine, theirs in zip(first, other, strict=True):
            assert mine.shape == theirs.shape
            np.testing.assert_allclose(mine, theirs, atol=1e-11)


@pytest.mark.parametrize("owned", [(6,), (4, 4, 6)])
@pytest.mark.parametrize("beta", [True, False])
@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 3)])
def test_in_float32_it_keeps_its_digits_far_from_zero(axes, beta, owned):
    """As the layers meet it: in a graph, the length of the batch not known."""
    x, dz = (RNG.standard_normal((32, 4, 4, 6)) + mean for mean in (1000, 0))
    gamma, offset = RNG.standard_normal(owned), RNG.standard_normal(owned) if beta else None
    results, no_beta = [], [] if beta else [None]
    for dtype in (tf.float32, tf.float64):

        @tf.function(input_signature=[tf.TensorSpec([None, *x.shape[1:]], dtype)] * 2)
        def both_ways(x, dz, dtype=dtype):
            tensors = [x, *(tf.constant(p, dtype) for p in (gamma, offset) if p is not None)]
            return on_tape(lambda *t: fast.fast_normalized(*t, *no_beta, 1e-3, axes), tensors, dz)

        results.append(both_ways(tf.constant(x, dtype), tf.constant(dz, dtype)))
    for single, double in zip(*results, strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 3)])
def test_a_constant_input_is_normalized_to_beta_and_keeps_finite(axes):
    x, dz = tf.fill([4, 3, 2, 4], 3.0), tf.constant(IMAGES, tf.float32)
    gamma, beta = tf.constant([1.0, -2.0, 0.0, 3.0]), tf.constant([0.5, 1.0, -1.0, 0.0])
    z, _, variance, *found = on_tape(
        lambda *tensors: fast.fast_normalized(*tensors, 1e-5, axes), [x, gamma, beta], dz
    )
    assert not np.any(variance)
    np.testing.assert_array_equal(z, np.broadcast_to(beta, x.shape))
    assert all(np.isfinite(gradient).all() for gradient in found)


def test_gamma_zero_gives_no_nan():
    zeros = tf.zeros(4, tf.float64)
    *_, dx = on_tape(
        lambda x: fast.fast_normalized(x, zeros, zeros, 1e-5, (0, 1, 2)), [tf.constant(IMAGES)]
    )
    np.testing.assert_array_equal(dx, 0)


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "x", "mistake", "sentence"),
    [
        ("none", IMAGES, None, "There is a check for batch, layer"),
        ("batch", IMAGES, "norm as a constant", "none of the mistakes of batch norm"),
        ("batch", np.ones((50, 41)), None, "at most 2,000 numbers, not 2,050"),
    ],
)
def test_what_cannot_be_checked_gets_a_sentence(method, x, mistake, sentence):
    with pytest.raises(ValueError, match=sentence):
        gradient_check.check(method, x, mistake=mistake)
