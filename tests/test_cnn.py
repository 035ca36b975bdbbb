"""The network: the report's sizes, every stage, another framework's numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from normlib.cnn import SmallCNN
from normlib.config import TrainConfig

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1), dtype=np.uint8)


def test_the_plain_network_is_keras_of_the_same_weights():
    net = SmallCNN()
    model = keras.Sequential(
        [
            keras.layers.Conv2D(30, 5, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(100, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    x = (IMAGES / 255).astype(np.float32)
    model(x)
    weights = net.weights()
    for layer, kernel, bias in (
        (0, "conv_kernel/w", "conv_bias"),
        (3, "dense_kernel/w", "dense_bias"),
        (4, "output_kernel/w", "output_bias"),
    ):
        model.layers[layer].set_weights([weights[kernel], weights[bias]])
    np.testing.assert_allclose(net.forward(IMAGES, training=False)["logits"], model(x), rtol=1e-3)


def test_stages_have_their_names_shapes_and_order():
    stages = SmallCNN(TrainConfig()).forward(IMAGES, training=True)
    assert list(stages) == [
        *("conv", "conv_normalized", "conv_relu", "pooled"),
        *("hidden", "hidden_normalized", "hidden_relu", "logits"),
    ]
    conv, dense = (6, 28, 28, 30), (6, 100)
    shapes = [conv, conv, conv, (6, 14, 14, 30), dense, dense, dense, (6, 10)]
    assert [tuple(stage.shape) for stage in stages.values()] == shapes
    np.testing.assert_array_equal(stages["conv_relu"], np.maximum(stages["conv_normalized"], 0))
    np.testing.assert_array_equal(
        stages["pooled"], tf.nn.max_pool2d(stages["conv_relu"], 2, 2, "VALID")
    )


def test_after_relu_normalizes_what_relu_gave():
    config = TrainConfig(position="after ReLU", epsilon=0.0)
    stages = SmallCNN(config).forward(IMAGES, training=True)
    np.testing.assert_array_equal(stages["conv_relu"], np.maximum(stages["conv"], 0))
    z = stages["conv_normalized"].numpy().astype(np.float64)
    np.testing.assert_allclose(z.mean((0, 1, 2)), 0, atol=1e-4)
    assert stages["pooled"].numpy().max() == stages["conv_normalized"].numpy().max()


def test_uint8_is_the_same_as_floats_from_0_to_1():
    net = SmallCNN()
    one, two = (net.forward(x, training=False)["logits"] for x in (IMAGES, IMAGES / 255))
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_initial_weights_are_normal_and_do_not_depend_on_other_layers():
    small, large = (SmallCNN(TrainConfig(hidden_units=n)) for n in (50, 100))
    np.testing.assert_array_equal(small.conv_kernel(), large.conv_kernel())
    w = np.asarray(large.dense_kernel())
    assert abs(w.mean()) < 1e-3 and abs(w.std() - 0.1) < 1e-3
    assert not np.any(large.conv_bias) and not np.any(large.dense_bias)


def test_placement_decides_which_layers_are_normalized():
    conv, both = (
        SmallCNN(TrainConfig(normalization="weight", placement=placement)).state()
        for placement in ("conv", "conv and dense")
    )
    assert {"conv_kernel/v", "dense_kernel/w", "output_kernel/w"} <= set(conv)
    assert {"conv_kernel/v", "dense_kernel/v", "output_kernel/v"} <= set(both)
    batch = SmallCNN(TrainConfig(placement="conv and dense")).state()
    assert {"conv_norm/gamma", "dense_norm/moving_variance"} <= set(batch)
    assert "output_norm/gamma" not in batch


def test_weights_come_back():
    net, other = (SmallCNN(TrainConfig(seed=seed)) for seed in (1, 2))
    other.set_weights(net.weights())
    np.testing.assert_array_equal(
        net.forward(IMAGES, training=False)["logits"],
        other.forward(IMAGES, training=False)["logits"],
    )
    with pytest.raises(ValueError, match="another shape"):
        other.set_weights(SmallCNN().weights())


def test_float64_all_the_way():
    net = SmallCNN(TrainConfig(placement="conv and dense"), tf.float64)
    assert {stage.dtype for stage in net.forward(IMAGES, training=True).values()} == {tf.float64}


@pytest.mark.parametrize("shape", [(28, 28), (3, 28, 28), (3, 32, 32, 1), (3, 28, 28, 3)])
def test_other_shapes_are_refused_in_one_sentence(shape):
    with pytest.raises(ValueError, match=r"Images must be \(N, 28, 28, 1\)"):
        SmallCNN().forward(np.zeros(shape, np.float32), training=False)


def test_training_has_no_default():
    with pytest.raises(TypeError, match="training"):
        SmallCNN().forward(IMAGES)


def test_the_start_scale_is_the_standard_deviation_of_every_kernel():
    usual, short = (
        SmallCNN(TrainConfig(normalization="none", start_scale=scale)) for scale in (0.1, 0.01)
    )
    for (_, kernel, _), (_, shorter, _) in zip(usual.layers(), short.layers(), strict=True):
        np.testing.assert_allclose(shorter(), kernel() / 10, rtol=1e-6)
    assert np.std(usual.dense_kernel()) == pytest.approx(0.1, rel=0.01)
