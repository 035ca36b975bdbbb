"""Layers hold the variables: moving statistics as Keras has them, kernels as the paper has them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from normlib import layers
from normlib.config import METHODS, TrainConfig

SHAPE = (5, 4, 6)
X = np.random.default_rng(1).normal(3.0, 2.0, (8, *SHAPE))
ON_ACTIVATIONS = sorted(set(METHODS) - {"none", "weight"})


def norm(method="batch", shape=SHAPE, **settings):
    config = TrainConfig(normalization=method, **{"epsilon": 1e-3, "groups": 3, **settings})
    return layers.activations_norm(config, shape, tf.float64)


@pytest.mark.parametrize("shape", [SHAPE, (6,)])
def test_batch_norm_moves_as_keras_does(shape):
    x = X if shape == SHAPE else X[:, 0, 0]
    ours = norm(shape=shape, momentum=0.7)
    theirs = keras.layers.BatchNormalization(epsilon=1e-3, momentum=0.7, dtype="float64")
    for scale in (1.0, 2.0, 0.5):
        np.testing.assert_allclose(
            ours(scale * x, training=True), theirs(scale * x, training=True), atol=1e-10
        )
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-10)
    np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-10)
    np.testing.assert_allclose(ours(x, training=False), theirs(x, training=False), atol=1e-10)


def test_inference_leaves_the_moving_statistics_alone_and_may_use_its_own():
    layer = norm()
    moving, own = (layer(X, training=False, own_statistics=own) for own in (False, True))
    np.testing.assert_array_equal(layer.moving_mean, 0)
    np.testing.assert_array_equal(layer.moving_variance, 1)
    np.testing.assert_array_equal(own, layer(X, training=True))
    assert not np.allclose(own, moving)


def test_ghost_batches_are_batches_of_their_own():
    ghost, plain = norm(ghost_batches=2), norm()
    parts = [plain(X[:4], training=True), plain(X[4:], training=True)]
    np.testing.assert_allclose(ghost(X, training=True), np.concatenate(parts))


def test_a_batch_that_ghosts_cannot_share_stays_whole():
    ghost, plain = norm(ghost_batches=3, batch_size=9), norm()
    np.testing.assert_allclose(ghost(X, training=True), plain(X, training=True))
    np.testing.assert_allclose(ghost.moving_variance, plain.moving_variance)


def test_ghosts_are_for_training_only():
    ghost, plain = norm(ghost_batches=4), norm()
    for statistics in (0, 1):
        np.testing.assert_array_equal(ghost(X, False, statistics), plain(X, False, statistics))
    in_parts = plain(X, False, own_statistics=2)
    np.testing.assert_allclose(in_parts[4:], plain(X[4:], False, own_statistics=True))
    assert ghost.normalized(X)[1].shape == (1, 1, 1, 6)


@pytest.mark.parametrize("training", [True, False])
def test_centering_and_scaling_are_the_two_halves(training):
    def apply(**halves):
        layer = norm(epsilon=0.0, momentum=0.0, **halves)
        layer(X, training=True)  # momentum 0: moving statistics are this batch's
        return np.asarray(layer(X, training=training))

    mean, std = X.mean((0, 1, 2)), X.std((0, 1, 2))
    np.testing.assert_allclose(apply(scale=False), X - mean)
    np.testing.assert_allclose(apply(center=False), X / np.sqrt((X**2).mean((0, 1, 2))))
    np.testing.assert_allclose(apply(), (X - mean) / std)


def test_weight_norm_starts_from_the_kernel_or_from_length_one():
    kernel = np.random.default_rng(2).normal(size=(5, 5, 1, 30)).astype(np.float32)
    wrapped, unit = layers.WeightNorm(kernel), layers.WeightNorm(kernel, 1.0)
    np.testing.assert_allclose(wrapped(), kernel, rtol=1e-6)
    np.testing.assert_allclose(wrapped.g, np.linalg.norm(kernel.reshape(-1, 30), axis=0), rtol=1e-6)
    lengths = np.linalg.norm(np.reshape(unit(), (-1, 30)), axis=0)
    np.testing.assert_allclose(lengths, 1, rtol=1e-6)


@pytest.mark.parametrize("method", ON_ACTIVATIONS)
def test_every_method_by_name_standardizes_over_its_axes(method):
    z = np.asarray(norm(method, epsilon=0.0)(X, training=True))
    shape, axes = {
        "batch": (X.shape, (0, 1, 2)),
        "tf_batch": (X.shape, (0, 1, 2)),
        "layer": (X.shape, (1, 2, 3)),
        "rms": (X.shape, (1, 2, 3)),
        "instance": (X.shape, (1, 2)),
        "group": ((*X.shape[:3], 3, 2), (1, 2, 4)),
    }[method]
    z = z.reshape(shape)
    if method != "rms":
        np.testing.assert_allclose(z.mean(axes), 0, atol=1e-10)
    np.testing.assert_allclose((z**2).mean(axes), 1)
    for other in ((0, 1, 2), (1, 2, 3), (1, 2), (3,)):
        if len(shape) == 4 and not set(other) >= set(axes):
            assert np.abs((z**2).mean(other) - 1).max() > 1e-3, "other axes would pass too"


def test_statistics_are_those_that_the_layer_divides_by():
    layer = norm(epsilon=0.0, momentum=0.0, center=False)
    layer(X, training=True)
    _, mean, variance = layer.normalized(X)
    for found, expected in ((mean, 0), (variance, (X**2).mean((0, 1, 2)))):
        np.testing.assert_allclose(np.ravel(found), expected * np.ones(6), rtol=1e-12)
    np.testing.assert_allclose(layer.moving_mean, np.ravel(mean))
    np.testing.assert_allclose(layer.moving_variance, np.ravel(variance))


@pytest.mark.parametrize("settings", [{}, {"center": False}, {"scale": False}])
@pytest.mark.parametrize("method", ON_ACTIVATIONS)
def test_what_is_looked_at_is_what_is_trained_with(method, settings):
    layer = norm(method, **settings)
    for training, own in ((False, 1), (False, 0), (True, 0)):
        looked = layer(tf.constant(X), training, own)
        np.testing.assert_allclose(tf.function(layer)(X, training, own), looked, atol=1e-10)


def test_plain_formulas_run_where_somebody_looks(monkeypatch):
    calls = []
    for name in ("standardize", "scale_shift", "batch_norm", "weight_norm"):
        op = getattr(layers, name)
        monkeypatch.setattr(layers, name, lambda *a, op=op, name=name: calls.append(name) or op(*a))
    for method in ("batch", "layer", "group", "instance", "rms"):
        norm(method)(X, False, 1)
        assert calls == ["standardize", "scale_shift"], method
        calls.clear()
    norm()(X, False)
    layers.WeightNorm(X)()
    assert calls == ["batch_norm", "weight_norm"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_trained_with_is_the_plain_one_with_its_gradients(dtype):
    kernel = np.random.default_rng(2).normal(size=(20, 7)).astype(dtype)
    kernel[:, 3] = 0
    layer, dw = layers.WeightNorm(kernel, 1.5), tf.constant(kernel[::-1])

    def both():
        with tf.GradientTape() as tape:
            w = layer()
        return [w, *tape.gradient(w, [layer.v, layer.g], dw)]

    for plain, fast in zip(both(), tf.function(both)(), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-5, atol=1e-6)
        assert not np.any(np.asarray(fast)[..., 3])
