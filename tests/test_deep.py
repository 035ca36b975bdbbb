"""The deep network: its gradients, its residual layers written in another way, its signal."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from normlib.config import TrainConfig
from normlib.deep import BINS, REACH, DeepMLP, network
from normlib.training import train
from pages.lab import depth

SIX = TrainConfig(depth=6, hidden_units=9, start_scale=0.5, epsilon=1e-3)


def loss_of(net: DeepMLP, images: np.ndarray, labels: np.ndarray) -> tf.Tensor:
    logits = net.forward(images, training=True)["logits"]
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


@pytest.mark.parametrize("method", ["none", "batch", "layer", "weight"])
@pytest.mark.parametrize("residual", ["none", "pre", "post"])
def test_gradients_are_those_of_central_differences(method, residual, drawn):
    images, labels = drawn.train_images[:5], drawn.train_labels[:5].astype(np.int32)
    net = DeepMLP(replace(SIX, normalization=method, residual=residual), tf.float64)
    variables = net.trainable_variables
    with tf.GradientTape() as tape:
        loss = loss_of(net, images, labels)
    gradients = tape.gradient(loss, variables)
    random = np.random.default_rng(1)
    for variable, gradient in zip(variables, gradients, strict=True):
        direction = random.standard_normal(variable.shape)
        before, ends = variable.numpy(), []
        for step in (1e-6, -1e-6):
            variable.assign(before + step * direction)
            ends.append(float(loss_of(net, images, labels)))
        variable.assign(before)
        along = float(tf.reduce_sum(gradient * direction))
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(along, rel=1e-4, abs=1e-8)


def test_residual_layers_are_those_of_their_formulas(drawn):
    x = drawn.train_images[:7].reshape(7, -1) / 255

    def layer_norm(h):
        return (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + SIX.epsilon)

    for residual in ("none", "pre", "post"):
        config = replace(SIX, normalization="layer", residual=residual)
        net = DeepMLP(config, tf.float64)
        first, *rest = [kernel().numpy() for _, kernel, _ in net.layers()][:-1]
        h = np.maximum(layer_norm(x @ first), 0)
        for w in rest:
            if residual == "pre":
                h = h + np.maximum(layer_norm(h) @ w, 0)
            elif residual == "post":
                h = layer_norm(h + np.maximum(h @ w, 0))
            else:
                h = np.maximum(layer_norm(h @ w), 0)
        stages = net.forward(drawn.train_images[:7], training=True)
        np.testing.assert_allclose(stages["output_6"], h, atol=1e-12)


def test_a_layer_more_leaves_the_others_as_they_were():
    short, long = DeepMLP(SIX), DeepMLP(replace(SIX, depth=8))
    for at in range(6):
        np.testing.assert_array_equal(
            getattr(short, f"kernel_{at}")(), getattr(long, f"kernel_{at}")()
        )
    assert type(network(TrainConfig())).__name__ == "SmallCNN"


def test_what_is_recorded_is_that_of_the_network(drawn):
    run = train(replace(SIX, train_size=330, batch_size=32, epochs=1), drawn)
    recorded = run.recorded
    assert recorded["step"] == [1, 2, 5, 10, 11] and len(run.losses) == 11
    assert np.shape(recorded["gradient_norms"]) == (5, 7)  # six layers and the logits
    assert np.shape(recorded["histograms"]) == (5, 6, BINS)
    net = DeepMLP(run.config)
    net.set_weights(run.weights[-1])
    stages = net.forward(drawn.validation_images[:128], training=False, own_statistics=True)
    output = stages["output_4"].numpy()
    assert recorded["spread"][-1][3] == pytest.approx(np.sqrt(np.mean(output**2)), rel=1e-5)
    assert recorded["dead"][-1][3] == pytest.approx(np.mean((output == 0).all(0)))
    edges = np.linspace(-REACH, REACH, BINS + 1)
    counts, _ = np.histogram(np.clip(stages["input_4"], -REACH, REACH), edges)
    np.testing.assert_allclose(recorded["histograms"][-1][3], counts, atol=2)


def test_a_network_that_leaves_the_finite_numbers_is_a_result(drawn):
    config = replace(SIX, normalization="none", start_scale=1.0, learning_rate=1.0, epochs=1)
    run = train(replace(config, depth=12, hidden_units=50), drawn)
    assert run.status == "diverged" and run.message.startswith("Diverged at step")


# ---- signal ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.03, 0.1, 2**0.5 / 10])
def test_without_normalization_each_layer_changes_the_spread_by_what_theory_says(scale, mnist):
    config = TrainConfig(normalization="none", depth=25, start_scale=scale)
    seeds = [depth.signal(replace(config, seed=seed), mnist) for seed in range(4)]
    ups, downs = zip(*(one.per_layer for one in seeds), strict=True)
    for each in (ups, downs):
        assert np.exp(np.mean(np.log(each))) == pytest.approx(depth.factor(config), rel=0.05)


def test_normalized_layers_keep_their_spread_at_any_start_scale(mnist):
    config = TrainConfig(normalization="batch", depth=20, start_scale=0.1)
    outputs = np.array(depth.signal(config, mnist).outputs)
    assert np.all(np.abs(outputs - 2**-0.5) < 0.02)  # half of a bell curve of width 1
    small = depth.signal(replace(config, start_scale=0.05), mnist)
    np.testing.assert_allclose(small.outputs, outputs, rtol=0.02)
