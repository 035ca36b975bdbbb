"""The normalizations against Keras's layers, numbers worked by hand, and their own promises."""

import ast
import inspect
from contextlib import nullcontext
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from normlib import normalize

EPSILON = 1e-3
RNG = np.random.default_rng(7)
IMAGES = RNG.normal(0.5, 2.0, (6, 5, 4, 8))


def exact(x, axes, epsilon=EPSILON, center=True):
    """x_hat in NumPy, from the textbook."""
    mean = x.mean(axis=axes, keepdims=True) if center else 0.0
    variance = ((x - mean) ** 2).mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def random_parameters(shape):
    return RNG.normal(1.0, 0.5, shape), RNG.normal(0.0, 0.5, shape)


# --- another framework's numbers ----------------------------------------------------------------

KERAS = keras.layers
CHANNELS = IMAGES.shape[-1:]
# ours, Keras's, the shape of gamma and beta
AGAINST_KERAS = {
    "batch": (normalize.batch_norm, KERAS.BatchNormalization, CHANNELS),
    "batch, dense": (normalize.batch_norm, KERAS.BatchNormalization, CHANNELS),
    "layer": (
        normalize.layer_norm,
        partial(KERAS.LayerNormalization, axis=[1, 2, 3]),
        IMAGES.shape[1:],
    ),
    "layer per position": (
        partial(normalize.layer_norm, axes=-1),
        KERAS.LayerNormalization,
        CHANNELS,
    ),
    "layer, one gamma per channel": (
        normalize.layer_norm,
        partial(KERAS.GroupNormalization, groups=1),
        CHANNELS,
    ),
    "group": (
        partial(normalize.group_norm, groups=4),
        partial(KERAS.GroupNormalization, groups=4),
        CHANNELS,
    ),
    "instance": (
        normalize.instance_norm,
        partial(KERAS.GroupNormalization, groups=-1),
        CHANNELS,
    ),
    "rms": (
        lambda x, gamma, beta, epsilon: normalize.rms_norm(x, gamma, epsilon, axes=-1),
        KERAS.RMSNormalization,
        CHANNELS,
    ),
}


@pytest.mark.parametrize(("dtype", "near"), [("float32", 2e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("name", AGAINST_KERAS)
def test_output_and_gradients_are_those_of_keras(name, dtype, near):
    op, make, shape = AGAINST_KERAS[name]
    x = tf.constant(IMAGES[:, 0, 0] if "dense" in name else IMAGES, dtype)
    gamma, beta = (tf.constant(p, dtype) for p in random_parameters(shape))
    dz = tf.constant(RNG.standard_normal(x.shape), dtype)
    layer = make(epsilon=EPSILON, dtype=dtype)
    layer.build(x.shape)
    for variable, value in zip(layer.trainable_variables, (gamma, beta), strict=False):
        variable.assign(value)
    training = {"training": True} if "batch" in name else {}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, gamma, beta])
        ours, theirs = op(x, gamma, beta, EPSILON), layer(x, **training)
    variables = [variable.value for variable in layer.trainable_variables]
    expected = [theirs, *tape.gradient(theirs, [x, *variables], dz)]
    assert len(expected) == (3 if name == "rms" else 4)
    found = [ours, *tape.gradient(ours, [x, gamma, beta], dz)]
    for mine, other in zip(found, expected, strict=False):
        scale = np.abs(other).max()
        np.testing.assert_allclose(mine, other, rtol=0, atol=near * max(1.0, scale))


def test_weight_norm_is_that_of_l2_normalize():
    v, g = RNG.standard_normal((5, 5, 3, 8)), RNG.normal(1.0, 0.5, 8)
    np.testing.assert_allclose(
        normalize.weight_norm(v, g), g * tf.nn.l2_normalize(v, (0, 1, 2)), rtol=1e-14
    )


# --- numbers worked by hand ---------------------------------------------------------------------

TABLE = np.array([[0.0, 0.0, 0.0], [2.0, 4.0, 0.0], [4.0, 0.0, 0.0], [6.0, 4.0, 0.0]])


def test_batch_norm_of_the_table_by_hand():
    # Column 1: 0 2 4 6, mean 3, squares 9 1 1 9, variance 5. Column 3 never changes.
    x = TABLE.copy()
    x[1:3, 1] = [3.0, 1.0]  # column 2: 0 3 1 4, mean 2, squares 4 1 1 4, variance 2.5
    z = normalize.batch_norm(x, np.array([5.0**0.5, 1.0, 1.0]), np.array([0.0, 0.0, 7.0]), 0.75)
    root = 5.75**0.5  # 5 + 0.75 under the root
    np.testing.assert_allclose(z[:, 0], np.array([-3, -1, 1, 3]) * 5**0.5 / root, rtol=1e-14)
    np.testing.assert_allclose(z[:, 1], np.array([-2, 1, -1, 2]) / 3.25**0.5, rtol=1e-14)
    np.testing.assert_array_equal(z[:, 2], [7, 7, 7, 7])


def test_layer_norm_of_the_table_by_hand():
    # Row 2: 2 4 0, mean 2, squares 0 4 4, variance 8/3; with epsilon 4/3 the root is 2.
    z = normalize.layer_norm(TABLE[1:2], None, None, 4 / 3)
    np.testing.assert_allclose(z, [[0, 1, -1]], rtol=1e-15)


def test_rms_norm_of_the_table_by_hand():
    # Row 2: mean square (4 + 16) / 3; with epsilon 7/3 the root is 3.
    z = normalize.rms_norm(TABLE[1:2], np.array([3.0, 3.0, 3.0]), 7 / 3)
    np.testing.assert_allclose(z, [[2, 4, 0]], rtol=1e-15)


def test_weight_norm_of_3_4_5_by_hand():
    w = normalize.weight_norm(np.array([[3.0, 0.0], [4.0, 2.0]]), np.array([10.0, -1.0]))
    np.testing.assert_allclose(w, [[6, 0], [8, -1]], rtol=1e-15)


# --- the textbook in NumPy, every method, every rank ---------------------------------------------


@pytest.mark.parametrize("rank", [2, 3, 4, 5])
def test_each_method_averages_over_its_own_axes(rank):
    x = RNG.normal(0.5, 2.0, (*(5, 2, 3, 4)[: rank - 1], 6))
    gamma, beta = random_parameters(6)
    shape, positions = x.shape, tuple(range(1, rank - 1))
    expected = {
        "batch": exact(x, tuple(range(rank - 1))),
        "layer": exact(x, tuple(range(1, rank))),
        "position": exact(x, (rank - 1,)),
        "group": exact(x.reshape(*shape[:-1], 3, 2), (*positions, rank)).reshape(shape),
        "rms": exact(x, tuple(range(1, rank)), center=False),
    }
    if rank > 2:
        expected["instance"] = exact(x, positions)
    for method, x_hat in expected.items():
        got = normalize.apply(method, x, gamma, beta, EPSILON, groups=3)
        np.testing.assert_allclose(got, gamma * x_hat + beta, atol=1e-13, err_msg=method)


@pytest.mark.parametrize("center", [True, False])
def test_the_mean_can_be_left_in(center):
    x_hat, mean, variance = normalize.standardize(IMAGES, (1, 2), EPSILON, center)
    expected_mean = IMAGES.mean((1, 2), keepdims=True) * center
    np.testing.assert_allclose(mean, expected_mean, atol=1e-14)
    expected_variance = ((IMAGES - expected_mean) ** 2).mean((1, 2), keepdims=True)
    np.testing.assert_allclose(variance, expected_variance, rtol=1e-13)
    root = np.sqrt(expected_variance + EPSILON)
    np.testing.assert_allclose(x_hat, (IMAGES - expected_mean) / root, atol=1e-13)


def test_given_statistics_are_used_as_they_are():
    mean, variance = RNG.standard_normal(8), RNG.uniform(0.5, 2.0, 8)
    z = normalize.batch_norm(IMAGES, None, None, EPSILON, mean, variance)
    np.testing.assert_allclose(z, (IMAGES - mean) / np.sqrt(variance + EPSILON), atol=1e-13)


@pytest.mark.parametrize(
    "axes", [(-1, -3), (np.int64(3), np.uint8(1)), np.array([1, -1]), range(1, 4, 2), {3, 1}]
)
def test_axes_are_any_integers_in_any_order(axes):
    one, other = (normalize.standardize(IMAGES, given, EPSILON)[0] for given in ((1, 3), axes))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("x", "axes"),
    [(IMAGES, 3), (IMAGES, -1), (IMAGES, np.int64(-1)), (IMAGES[0, 0, 0], 0)],
)
def test_with_an_axis_given_layer_and_rms_norm_take_any_rank(x, axes):
    for center, got in (
        (True, normalize.layer_norm(x, None, None, EPSILON, axes)),
        (False, normalize.rms_norm(x, None, EPSILON, axes)),
    ):
        np.testing.assert_allclose(got, exact(x, (int(axes),), center=center), atol=1e-13)


def test_apply_runs_each_method_by_name():
    gamma, beta = random_parameters(8)
    for method, op in {
        "batch": normalize.batch_norm,
        "layer": normalize.layer_norm,
        "position": lambda *a: normalize.layer_norm(*a, axes=-1),
        "instance": normalize.instance_norm,
        "group": lambda *a: normalize.group_norm(*a, groups=4),
        "rms": lambda x, gamma, beta, epsilon: normalize.rms_norm(x, gamma, epsilon) + beta,
    }.items():
        got = normalize.apply(method, IMAGES, gamma, beta, EPSILON, groups=4)
        np.testing.assert_array_equal(got, op(IMAGES, gamma, beta, EPSILON), err_msg=method)


# --- relations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "op"), [(1, normalize.layer_norm), (8, normalize.instance_norm)]
)
def test_group_norm_lies_between_layer_and_instance_norm(groups, op):
    parameters = random_parameters(8)
    got = normalize.group_norm(IMAGES, *parameters, EPSILON, groups)
    np.testing.assert_allclose(got, op(IMAGES, *parameters, EPSILON), rtol=0, atol=1e-13)


# --- numbers that break careless formulas --------------------------------------------------------


def test_a_large_mean_does_not_eat_the_variance():
    x = RNG.normal(1000.0, 1.0, (64, 14, 14, 4)).astype(np.float32)
    z = normalize.batch_norm(x, None, None, 1e-5)
    np.testing.assert_allclose(z, exact(x.astype(np.float64), (0, 1, 2), 1e-5), atol=1e-3)
    careless = np.mean(x**2, (0, 1, 2)) - np.mean(x, (0, 1, 2)) ** 2
    assert np.abs(careless - 1).max() > 0.01  # what E[x²] - E[x]² would have made of it


def test_a_whole_batch_of_images_is_averaged_to_float32_accuracy():
    x = RNG.normal(0.0, 1.0, (64, 28, 28, 4)).astype(np.float32)
    z = normalize.batch_norm(x, None, None, 1e-5)
    assert np.abs(z - exact(x.astype(np.float64), (0, 1, 2), 1e-5)).max() < 3e-6


def test_epsilon_is_exact_in_float64():
    x_hat, _, _ = normalize.standardize(np.array([[-1e-4], [1e-4]]), 0, 1e-5)
    np.testing.assert_allclose(x_hat[1, 0], 1e-4 / (1e-8 + 1e-5) ** 0.5, rtol=1e-14)


def test_a_constant_channel_becomes_beta():
    x = IMAGES.copy()
    x[..., 2] = 0.1
    gamma, beta = random_parameters(8)
    z = normalize.batch_norm(x.astype(np.float32), gamma, beta, 1e-5)
    np.testing.assert_allclose(z[..., 2], np.full((6, 5, 4), beta[2]), atol=1e-4)


def test_a_batch_of_one_becomes_beta_and_teaches_nothing():
    x, beta = tf.constant(IMAGES[:1, 0, 0]), RNG.standard_normal(8)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = normalize.batch_norm(x, None, beta, 1e-5)
        loss = tf.reduce_sum(z * RNG.standard_normal(8))
    np.testing.assert_array_equal(z, beta[np.newaxis])
    np.testing.assert_array_equal(tape.gradient(loss, x), np.zeros((1, 8)))


@pytest.mark.parametrize(
    ("dtype", "size", "near"),
    [
        *((np.float32, s, 1e-6) for s in (1e-37, 1e-30, 1e-16, 1e-8, 1.0, 1e8, 1e16, 1e30, 6e37)),
        *((np.float64, s, 1e-14) for s in (1e-300, 1e-160, 1e160, 1e300)),
    ],
)
def test_every_filter_has_its_length_over_the_whole_range_of_its_dtype(dtype, size, near):
    v = np.array([[3.0, 0.0], [4.0, 0.0]], dtype) * dtype(size)
    w = normalize.weight_norm(v, np.ones(2, dtype))
    np.testing.assert_allclose(w, [[0.6, 0.0], [0.8, 0.0]], rtol=near)
    _, length = normalize.direction(v)
    np.testing.assert_allclose(length, [5 * dtype(size), 0.0], rtol=near)


def test_an_overflow_is_not_silently_zero():
    x = np.float32([[-1e20], [1e20]])
    assert np.isnan(normalize.standardize(x, 0, EPSILON)[0]).all()
    z = normalize.batch_norm(x, None, None, EPSILON, [0.0], [np.inf])
    assert np.isnan(z).all()


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int32, np.float16, np.bool_])
def test_other_dtypes_are_refused(dtype):
    x, ones = np.ones((2, 4), dtype), np.ones(4, dtype)
    for call in (
        lambda: normalize.standardize(x, 0, EPSILON),
        lambda: normalize.batch_norm(x, None, None, EPSILON),
        lambda: normalize.layer_norm(x, None, None, EPSILON),
        lambda: normalize.group_norm(x, None, None, EPSILON, groups=2),
        lambda: normalize.rms_norm(x, None, EPSILON),
        lambda: normalize.weight_norm(x, ones),
    ):
        with pytest.raises(TypeError, match="must be float32 or float64, not"):
            call()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_kept(dtype):
    x = tf.constant(IMAGES, dtype)
    gamma, beta = random_parameters(8)  # float64 as NumPy makes them
    for z in (
        *normalize.standardize(x, 0, EPSILON),
        normalize.batch_norm(x, gamma, beta, EPSILON),
        normalize.batch_norm(x, gamma, beta, EPSILON, gamma, beta**2),
        normalize.layer_norm(x, gamma, beta, EPSILON),
        normalize.group_norm(x, gamma, beta, EPSILON, groups=2),
        normalize.instance_norm(x, gamma, beta, EPSILON),
        normalize.rms_norm(x, gamma, EPSILON),
        normalize.weight_norm(x, gamma),
    ):
        assert z.dtype == dtype


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: normalize.standardize(IMAGES, (1, 4), EPSILON), r"axes \(1, 4\) do not fit"),
        (lambda: normalize.standardize(IMAGES, (), EPSILON), "do not fit"),
        (lambda: normalize.standardize(IMAGES, (1, -3), EPSILON), "name one axis twice"),
        (lambda: normalize.standardize(IMAGES, 0, -1e-5), "epsilon must be a finite number"),
        (lambda: normalize.standardize(IMAGES, 0, float("nan")), "epsilon must be a finite"),
        (lambda: normalize.batch_norm(np.ones(3), None, None, EPSILON), r"needs \(N, ..., C\)"),
        (lambda: normalize.batch_norm(IMAGES, None, None, EPSILON, mean=0.0), "both mean and"),
        (lambda: normalize.group_norm(IMAGES, None, None, EPSILON, groups=3), "8 channels cannot"),
        (lambda: normalize.group_norm(IMAGES, None, None, EPSILON, groups=0), "8 channels cannot"),
        (lambda: normalize.instance_norm(TABLE, None, None, EPSILON), "needs positions"),
        (lambda: normalize.scale_shift(IMAGES, np.ones(3), None), r"gamma has shape \(3,\), which"),
        (lambda: normalize.scale_shift(IMAGES, None, np.ones((2, *IMAGES.shape))), "does not fit"),
        (lambda: normalize.weight_norm(IMAGES, np.ones(3)), "g has shape"),
        (lambda: normalize.weight_norm(1.0, 1.0), r"needs \(..., C_out\)"),
        (lambda: normalize.apply("tanh", IMAGES, None, None, 0.0), "no method 'tanh'"),
    ],
)
def test_impossible_arguments_get_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.parametrize("axes", [True, (0, True), 1.0, (1.0,), "1", np.bool_(True)])
def test_axes_that_are_no_integers_are_a_type_error(axes):
    with pytest.raises(TypeError):
        normalize.standardize(IMAGES, axes, EPSILON)


@pytest.mark.parametrize(
    ("shape", "op", "sentence"),
    [
        (None, normalize.batch_norm, "got shape <unknown>"),
        (None, normalize.layer_norm, "got shape <unknown>"),
        (None, normalize.instance_norm, "got shape <unknown>"),
        (None, partial(normalize.group_norm, groups=2), "got shape <unknown>"),
        (None, lambda x, *_: normalize.standardize(x, 0, EPSILON), "do not fit"),
        ([None] * 4, partial(normalize.group_norm, groups=2), "None channels cannot"),
        ([None] * 4, normalize.batch_norm, None),
        ([None] * 4, normalize.layer_norm, None),
        ([None] * 4, normalize.instance_norm, None),
    ],
)
def test_an_unknown_shape_is_refused_where_it_would_be_needed(shape, op, sentence):
    traced = tf.function(lambda x: op(x, None, None, EPSILON), autograph=False)
    refused = pytest.raises(ValueError, match=sentence) if sentence else nullcontext()
    with refused:
        traced.get_concrete_function(tf.TensorSpec(shape, tf.float32))


def test_the_maths_is_the_packages_own():
    tree = ast.parse(inspect.getsource(normalize))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "reduce_sum" in used
    ready_made = {"nn", "keras", "moments", "batch_normalization", "l2_normalize", "raw_ops"}
    assert not used & ready_made
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert "keras" not in " ".join(map(ast.unparse, imports))
