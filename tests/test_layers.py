"""Layers hold the variables: moving statistics as Keras has them, kernels as the paper has them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from normlib import layers
from normlib.config import METHODS, TrainConfig

SHAPE = (5, 4, 6)
X = np.random.default_rng(1).normal(3.0, 2.0, (8, *SHAPE))


@pytest.mark.parametrize("shape", [SHAPE, (6,)])
def test_batch_norm_moves_as_keras_does(shape):
    x = X if shape == SHAPE else X[:, 0, 0]
    ours = layers.BatchNorm(shape, epsilon=1e-3, momentum=0.7, dtype=tf.float64)
    theirs = keras.layers.BatchNormalization(epsilon=1e-3, momentum=0.7, dtype="float64")
    for scale in (1.0, 2.0, 0.5):
        np.testing.assert_allclose(
            ours(scale * x, training=True), theirs(scale * x, training=True), atol=1e-10
        )
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-10)
    np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-10)
    np.testing.assert_allclose(ours(x, training=False), theirs(x, training=False), atol=1e-10)


def test_inference_leaves_the_moving_statistics_alone():
    layer = layers.BatchNorm(SHAPE, epsilon=1e-3, dtype=tf.float64)
    for own in (False, True):
        layer(X, training=False, own_statistics=own)
        np.testing.assert_array_equal(layer.moving_mean, 0)
        np.testing.assert_array_equal(layer.moving_variance, 1)


def test_own_statistics_at_inference_are_those_of_training():
    layer = layers.BatchNorm(SHAPE, epsilon=1e-3, dtype=tf.float64)
    own = layer(X, training=False, own_statistics=True)
    np.testing.assert_array_equal(own, layer(X, training=True))
    assert not np.allclose(own, layer(X, training=False))


def test_ghost_batches_are_batches_of_their_own():
    ghost = layers.BatchNorm(SHAPE, epsilon=1e-3, ghost_batches=2, dtype=tf.float64)
    plain = layers.BatchNorm(SHAPE, epsilon=1e-3, dtype=tf.float64)
    parts = [plain(X[:4], training=True), plain(X[4:], training=True)]
    np.testing.assert_allclose(ghost(X, training=True), np.concatenate(parts))


def test_a_batch_that_ghosts_cannot_share_stays_whole():
    ghost = layers.BatchNorm(SHAPE, epsilon=1e-3, ghost_batches=3, dtype=tf.float64)
    plain = layers.BatchNorm(SHAPE, epsilon=1e-3, dtype=tf.float64)
    np.testing.assert_allclose(ghost(X, training=True), plain(X, training=True))
    np.testing.assert_allclose(ghost.moving_variance, plain.moving_variance)


@pytest.mark.parametrize("training", [True, False])
def test_centering_and_scaling_are_the_two_halves(training):
    def apply(**halves):
        layer = layers.BatchNorm(SHAPE, epsilon=0.0, momentum=0.0, dtype=tf.float64, **halves)
        layer(X, training=True)  # momentum 0: moving statistics are this batch's
        return np.asarray(layer(X, training=training))

    mean, std = X.mean((0, 1, 2)), X.std((0, 1, 2))
    np.testing.assert_allclose(apply(scale=False), X - mean)
    np.testing.assert_allclose(apply(center=False), X / np.sqrt((X**2).mean((0, 1, 2))))
    np.testing.assert_allclose(apply(), (X - mean) / std)


def test_wrapping_a_kernel_in_weight_norm_changes_nothing():
    kernel = np.random.default_rng(2).normal(size=(5, 5, 1, 30)).astype(np.float32)
    wrapped = layers.WeightNorm(kernel)
    np.testing.assert_allclose(wrapped(), kernel, rtol=1e-6)
    np.testing.assert_allclose(wrapped.g, np.linalg.norm(kernel.reshape(-1, 30), axis=0), rtol=1e-6)


def test_a_unit_start_gives_every_output_channel_length_one():
    kernel = np.random.default_rng(2).normal(size=(20, 7))
    np.testing.assert_allclose(np.linalg.norm(layers.WeightNorm(kernel, 1.0)(), axis=0), 1)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"none", "weight"}))
def test_every_method_by_name_standardizes_over_its_axes(method):
    config = TrainConfig(normalization=method, epsilon=0.0, groups=3)
    layer = layers.activations_norm(config, SHAPE, tf.float64)
    z = np.asarray(layer(X, training=True))
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


@pytest.mark.parametrize("epsilon", [-1.0, float("nan"), float("inf")])
def test_an_impossible_epsilon_is_refused_where_trainings_take_it(epsilon):
    with pytest.raises(ValueError, match="epsilon must be a finite number"):
        layers.Norm("layer", SHAPE, epsilon=epsilon)
    layer = layers.Norm("layer", SHAPE, epsilon=0.0)
    layer.epsilon = epsilon
    with pytest.raises(ValueError, match="epsilon must be a finite number"):
        tf.function(layer)(tf.constant(X, tf.float32), training=True)


def test_ghosts_are_for_training_only():
    ghost, plain = (
        layers.BatchNorm(SHAPE, epsilon=1e-3, ghost_batches=n, dtype=tf.float64) for n in (4, 1)
    )
    for statistics in (0, 1):
        np.testing.assert_array_equal(ghost(X, False, statistics), plain(X, False, statistics))
    in_parts = plain(X, False, own_statistics=2)
    np.testing.assert_allclose(in_parts[4:], plain(X[4:], False, own_statistics=True))
    assert ghost.normalized(X)[1].shape == (1, 1, 1, 6)


def test_statistics_are_those_that_the_layer_divides_by():
    layer = layers.BatchNorm(SHAPE, epsilon=0.0, momentum=0.0, center=False, dtype=tf.float64)
    layer(X, training=True)
    _, mean, variance = layer.normalized(X)
    for found, expected in ((mean, 0), (variance, (X**2).mean((0, 1, 2)))):
        np.testing.assert_allclose(np.ravel(found), expected * np.ones(6), rtol=1e-12)
    np.testing.assert_allclose(layer.moving_mean, np.ravel(mean))
    np.testing.assert_allclose(layer.moving_variance, np.ravel(variance))


@pytest.mark.parametrize("settings", [{}, {"center": False}, {"scale": False}])
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"none", "weight"}))
def test_what_is_looked_at_is_what_is_trained_with(method, settings):
    config = TrainConfig(normalization=method, groups=3, **settings)
    layer = layers.activations_norm(config, SHAPE, tf.float64)
    for training, own in ((False, 1), (False, 0), (True, 0)):
        looked = layer(tf.constant(X), training, own)
        np.testing.assert_allclose(tf.function(layer)(X, training, own), looked, atol=1e-10)


def test_plain_formulas_run_where_somebody_looks(monkeypatch):
    calls = []
    for name in ("standardize", "scale_shift", "batch_norm", "weight_norm"):
        op = getattr(layers, name)
        monkeypatch.setattr(layers, name, lambda *a, op=op, name=name: calls.append(name) or op(*a))
    for method in ("batch", "layer", "group", "instance", "rms"):
        config = TrainConfig(normalization=method, groups=3)
        layers.activations_norm(config, SHAPE, tf.float64)(X, False, 1)
        assert calls == ["standardize", "scale_shift"], method
        calls.clear()
    layers.BatchNorm(SHAPE, epsilon=0.0, dtype=tf.float64)(X, False)
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
