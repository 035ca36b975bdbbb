"""A trained batch norm elsewhere: folded it computes the same, and each rule is what it says."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from normlib.layers import BatchNorm
from pages.lab import deployed
from pages.lab.deployed import FOLDED, FROZEN, RULES, TRAINED, TUNED

CONFIG = replace(deployed.CONFIG, train_size=256, batch_size=32, hidden_units=12)


@pytest.fixture(scope="module")
def trained(drawn):
    """A network after a few steps, and by what its batch norms normalized on the way."""
    seen: dict[str, list] = {"conv_norm": [], "dense_norm": []}
    net = deployed.tracking(CONFIG, (0.5, 0.9))
    for at in range(4):
        stages = net.forward(drawn.train_images[32 * at : 32 * (at + 1)], training=True)
        for name, stage in (("conv_norm", "conv"), ("dense_norm", "hidden")):
            x = stages[stage].numpy().astype(np.float64)
            axes = tuple(range(x.ndim - 1))
            seen[name].append((x.mean(axes), x.var(axes)))
    return net, seen


def test_folded_it_computes_the_same(trained, drawn):
    net, _ = trained
    for norm in (net.conv_norm, net.dense_norm):
        norm.gamma.assign(tf.random.stateless_uniform(norm.gamma.shape, (1, 2), -2, 2))
        norm.beta.assign(tf.random.stateless_normal(norm.beta.shape, (3, 4)))
    plain = deployed.folded(net)
    assert not any(isinstance(part, BatchNorm) for part in plain.submodules)
    images = drawn.test_images[:50]
    both = [one.forward(images, training=False)["logits"].numpy() for one in (net, plain)]
    np.testing.assert_allclose(*both, rtol=1e-4, atol=1e-4 * np.abs(both[0]).max())


def test_a_folded_number_by_hand():
    one = [np.array([value]) for value in (2.0, 1.0, 3.0, 5.0, 0.5, 3.99)]
    kernel, bias = deployed.fold(*one, epsilon=0.01)
    assert kernel == pytest.approx([2 * 3 / 2])
    assert bias == pytest.approx([(1 - 0.5) * 3 / 2 + 5])


def test_each_momentum_keeps_its_own_moving_average(trained):
    net, seen = trained
    for name, batches in seen.items():
        for momentum in (0.5, 0.9):
            mean, variance = 0.0, 1.0
            for own_mean, own_variance in batches:
                mean = momentum * mean + (1 - momentum) * own_mean
                variance = momentum * variance + (1 - momentum) * own_variance
            kept = getattr(net, name).kept[momentum]
            np.testing.assert_allclose(kept[0], mean, rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(kept[1], variance, rtol=1e-3)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_batch_norm_keeps_its_statistics_and_learns(frozen, drawn, monkeypatch):
    monkeypatch.setattr(deployed, "TUNED_STEPS", 3)
    net = deployed.tracking(CONFIG, ())
    before = net.weights()
    deployed.tune(net, drawn, frozen)
    for name, value in net.weights().items():
        assert np.array_equal(value, before[name]) == (frozen and "moving" in name), name


def test_all_is_measured_of_one_training(drawn, monkeypatch):
    monkeypatch.setattr(deployed, "CONFIG", CONFIG)
    monkeypatch.setattr(deployed, "TUNED_STEPS", 3)
    found = deployed.measure(2, 0, drawn)
    assert set(found.accuracies) == {*RULES, FOLDED, TUNED, FROZEN}
    assert found.accuracies[FOLDED] == found.accuracies[TRAINED] and not found.changed
    assert 0 < found.difference < 1e-3


def test_what_was_recorded_is_told_as_it_is():
    for batch in deployed.SIZES:
        found = deployed.trainings(batch)
        changes = deployed.changes(found)
        assert [one.seed for one in found] == list(deployed.SEEDS)
        assert changes[FOLDED].mean == 0
        worst = deployed.costliest(changes)
        means = {name: deployed.mean(found, name) for name in deployed.KINDS}
        assert worst == min(means, key=means.__getitem__)
