"""A trained batch norm elsewhere: folded, frozen, and by the rules of other frameworks.

One training keeps its moving statistics by several rules at once, since none of them changes a
weight; its test accuracy is then measured by each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from pages.lab import recorded, why
from pages.lab.verdict import Verdict, verdict

if TYPE_CHECKING:
    import tensorflow as tf

    from normlib.cnn import SmallCNN

CONFIG = TrainConfig(placement="conv and dense", epochs=1, train_size=6000, learning_rate=0.05)
SIZES, SEEDS = (64, 8, 2), (0, 1, 2)
TUNED_STEPS, TUNED_BATCH, TUNED_RATE = 300, 2, 0.01
TRAINED, FOLDED = "As trained", "Folded into the kernels"
TUNED, FROZEN = "Tuned by batches of 2", "The same, frozen"


class Rule(NamedTuple):
    """How the statistics of inference come about.

    momentum: of the moving average, as Keras counts; None: the plain average over batches of the
    trained network. unbiased: the variance times m / (m − 1). kind: what it changes.
    """

    kind: str
    momentum: float | None = CONFIG.momentum
    unbiased: bool = False
    epsilon: float = CONFIG.epsilon


# The defaults of the two are those of their documentation; the paper's rule is its algorithm 2
# (Ioffe and Szegedy, 2015, arXiv:1502.03167).
RULES = {
    TRAINED: Rule(""),
    "PyTorch: unbiased variance": Rule("The rule of its variance", unbiased=True),
    "The paper: average, unbiased": Rule("An average in place of moving ones", None, True),
    "Keras's epsilon, 0.001": Rule("Its epsilon", epsilon=1e-3),
    "Keras's momentum, 0.99": Rule("Its momentum", 0.99),
    "PyTorch's 0.1 as Keras's": Rule("Its momentum", 0.1),
    "Keras's 0.99 as PyTorch's": Rule("Its momentum", 0.01),
}
KINDS = {FOLDED: "Folding it into the kernels"} | {
    name: rule.kind for name, rule in RULES.items() if rule.kind
}


@dataclass(frozen=True)
class Deployed:
    """One training. accuracies: on the test images (0..1), by `RULES`, folded and tuned.

    difference: the largest of an output, folded against not; changed: how many test images are
    then classified otherwise.
    """

    batch: int
    seed: int
    accuracies: dict[str, float]
    difference: float
    changed: int


def fold(
    kernel: np.ndarray,
    bias: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    epsilon: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and bias that do alone what they and the batch norm behind them do at inference.

        w' = w · γ / √(σ² + ε),   b' = (b − μ) · γ / √(σ² + ε) + β

    kernel: (..., C); all others: (C,).
    """
    factor = gamma / np.sqrt(variance + epsilon)
    return kernel * factor, (bias - mean) * factor + beta


def folded(net: SmallCNN) -> SmallCNN:
    """A network without normalization that computes what this one computes at inference."""
    from normlib.cnn import SmallCNN

    plain = SmallCNN(replace(net.config, normalization="none"))
    norms = (net.conv_norm, net.dense_norm)
    for at, (old, new) in enumerate(zip(net.layers(), plain.layers(), strict=True)):
        kernel, bias = old[1]().numpy(), old[2].numpy()
        if at < len(norms):
            norm = norms[at]
            of = (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
            gamma, beta, mean, variance = (np.asarray(one) for one in of)
            kernel, bias = fold(kernel, bias, gamma, beta, mean, variance, norm.epsilon)
        new[1].w.assign(kernel)
        new[2].assign(bias)
    return plain


def tracking(config: TrainConfig, momenta: tuple[float, ...]) -> SmallCNN:
    """The network, whose batch norms keep a moving average for each momentum too: `kept`."""
    import tensorflow as tf

    from normlib.cnn import SmallCNN
    from normlib.layers import BatchNorm

    class Tracking(BatchNorm):
        def __init__(self, config: TrainConfig, shape: tuple[int, ...]):
            super().__init__(config, shape)
            both = (self.moving_mean, self.moving_variance)
            self.kept = {
                momentum: [tf.Variable(moving, trainable=False) for moving in both]
                for momentum in momenta
            }

        def update(self, mean: tf.Tensor, variance: tf.Tensor) -> None:
            super().update(mean, variance)
            for momentum, both in self.kept.items():
                for moving, batch in zip(both, (mean, variance), strict=True):
                    now = tf.reshape(batch, [-1])
                    moving.assign(momentum * moving + (1 - momentum) * now)

    net = SmallCNN(config)
    for name in ("conv_norm", "dense_norm"):
        setattr(net, name, Tracking(config, getattr(net, name).shape))
    return net


def measure(batch: int, seed: int, data: Dataset) -> Deployed:
    """Train with batches of this size, and read the test images by every rule."""
    from pages.lab import inference

    config = replace(CONFIG, batch_size=batch, seed=seed)
    momenta = {rule.momentum for rule in RULES.values() if rule.momentum is not None}
    net = tracking(config, tuple(sorted(momenta)))
    norms = (net.conv_norm, net.dense_norm)
    for _ in why.steps_of(net, config, data):
        pass
    weights = net.weights()
    plain = folded(net)
    images = data.test_images
    whole, alone = (_logits(one, images) for one in (net, plain))
    found = {TRAINED: why.accuracy(net, data), FOLDED: why.accuracy(plain, data)}
    for name, rule in RULES.items():
        if rule.momentum is None:
            inference.recalibrate(net, data.train_images[: config.train_size], batch)
        for norm in norms:
            if rule.momentum is not None:
                norm.moving_mean.assign(norm.kept[rule.momentum][0])
                norm.moving_variance.assign(norm.kept[rule.momentum][1])
            if rule.unbiased:  # a mean of the convolution is over all positions too
                count = batch * int(np.prod(norm.shape[:-1]))
                norm.moving_variance.assign(norm.moving_variance * (count / (count - 1)))
            norm.epsilon = rule.epsilon
        found[name] = why.accuracy(net, data)
    for name in (TUNED, FROZEN):
        net.set_weights(weights)
        for norm in norms:
            norm.epsilon, norm.momentum = config.epsilon, config.momentum
        tune(net, data, frozen=name == FROZEN)
        found[name] = why.accuracy(net, data)
    changed = int((whole.argmax(1) != alone.argmax(1)).sum())
    return Deployed(batch, seed, found, float(np.abs(whole - alone).max()), changed)


def tune(net: SmallCNN, data: Dataset, frozen: bool) -> None:
    """Train on with other images in the smallest batches; frozen: by the moving statistics, which
    stay as they are."""
    import tensorflow as tf

    variables, config = net.trainable_variables, net.config

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = net.forward(images, training=not frozen)["logits"]
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int32), logits)
            loss = tf.reduce_mean(each)
        for variable, one in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(TUNED_RATE * one)

    first = min(config.train_size, len(data.train_images) - TUNED_STEPS * TUNED_BATCH)
    for at in range(first, first + TUNED_STEPS * TUNED_BATCH, TUNED_BATCH):
        part = slice(at, at + TUNED_BATCH)
        step(tf.constant(data.train_images[part]), tf.constant(data.train_labels[part]))


def _logits(net: SmallCNN, images: np.ndarray) -> np.ndarray:
    parts = np.array_split(images, max(1, len(images) // 500))
    return np.concatenate([net.forward(p, training=False)["logits"].numpy() for p in parts])


# ---- the recording ---------------------------------------------------------------------------


def content(data: Dataset) -> dict[str, Any]:
    """Every training, as it is recorded."""
    import tensorflow as tf

    from normlib.runtime import DEVICE

    with tf.device(DEVICE):
        return {"trainings": [asdict(measure(*one, data)) for one in product(SIZES, SEEDS)]}


@lru_cache
def trainings(batch: int) -> list[Deployed]:
    """The recorded ones of this batch size, a seed each."""
    every = (Deployed(**one) for one in recorded.read("deployed")["trainings"])
    return [one for one in every if one.batch == batch]


def changes(found: Sequence[Deployed]) -> dict[str, Verdict]:
    """By what was changed: the accuracy minus that as trained, seed by seed, in points."""
    points = {name: [100 * one.accuracies[name] for one in found] for name in found[0].accuracies}
    return {
        name: verdict(each, points[TRAINED]) for name, each in points.items() if name != TRAINED
    }


def mean(found: Sequence[Deployed], name: str) -> float:
    """The test accuracy of one way, over the seeds."""
    return float(np.mean([one.accuracies[name] for one in found]))


def costliest(found: Mapping[str, Verdict]) -> str:
    """The change of `KINDS` that costs most, in the mean."""
    return min(KINDS, key=lambda name: found[name].mean)
