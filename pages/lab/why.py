"""Why normalization works: what is measured beside a training, step by step.

Each probe trains a `DeepMLP` by plain steps, as `normlib.train` does, and stops now and then to
look. What it found ships with the lab, recorded by `python -m pages.lab record why`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from normlib.config import TrainConfig
from pages.lab import recorded
from pages.lab.depth import SMALL
from pages.lab.sweeps import FOUR
from pages.lab.verdict import Verdict, verdict

if TYPE_CHECKING:
    import tensorflow as tf

    from normlib.cnn import Network
    from normlib.mnist import Dataset

EVERY = 8  # steps from look to look
SEEDS = (0, 1, 2)
SHIFT_SEEDS = tuple(range(10))  # without normalization accuracies lie far apart
# Covariate shift: a network that all three can train.
NOISY = "Batch norm, then noise"
SHIFT = replace(SMALL, depth=5, learning_rate=0.1)
SHIFTED, STRETCHED = 0.5, 0.4  # the noise: standard deviation of the shift, half width of a factor
# Smoothness: how far to go along the negative gradient, in steps of the training.
STEPS_ALONG = (0.5, 1.0, 2.0, 4.0)
ROUGH_DEPTHS = (1, 20)
ROUGH = replace(SMALL, start_scale=0.1414, learning_rate=0.03)
# Effective learning rate: one scale-invariant kernel, by each way to descend.
TURN = replace(SMALL, normalization="batch", depth=3, learning_rate=0.1, epochs=6)
DECAY, MOMENTUM, ADAM_RATE = 0.05, 0.9, 0.001
RULES = {"sgd": "Plain SGD", "decay": f"Weight decay {DECAY}", "momentum": f"Momentum {MOMENTUM}"}
RULES |= {"adam": "Adam"}
TURNED = 2  # the layer that is watched, counted from 1


# ---- the loss along its gradient -------------------------------------------------------------


def along_gradient(
    value_and_gradient: Callable[[np.ndarray], tuple[float, np.ndarray]],
    x: np.ndarray,
    lengths: Sequence[float],
) -> tuple[float, float, float]:
    """How rough a function is where gradient descent goes next.

        x_t = x - t · g(x),   t in lengths

    Returns the range of the values at these points, max - min; the largest change of the gradient,
    max |g(x_t) - g(x)|; and that divided by |g(x)|.
    Source: Santurkar et al., 2018, arXiv:1805.11604, section 3.1.
    """
    _, gradient = value_and_gradient(x)
    found = [value_and_gradient(x - length * gradient) for length in lengths]
    values = [value for value, _ in found]
    change = max(float(np.linalg.norm(one - gradient)) for _, one in found)
    length = float(np.linalg.norm(gradient))
    return max(values) - min(values), change, change / length if length else 0.0


# ---- a training that is looked at ------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """What was seen beside one training.

    name: of the curve, a method or another title. steps: after which it was looked at. values:
    what was measured there, by its name. accuracy: on the test images at the end, 0..1.
    """

    name: str
    seed: int
    depth: int
    steps: list[int]
    values: dict[str, list]
    accuracy: float


def noisy(config: TrainConfig) -> Network:
    """A network whose batch norms are each followed by noise while it trains: every unit is shifted
    and stretched at random, and anew in each step.

    Source: Santurkar et al., 2018, arXiv:1805.11604, section 2.1.
    """
    import tensorflow as tf

    from normlib.deep import DeepMLP
    from normlib.layers import BatchNorm

    class Noisy(BatchNorm):
        def __init__(self, layer: int):
            super().__init__(config, (config.hidden_units,))
            self.random = np.random.default_rng([config.seed, 200 + layer])
            self.shift = tf.Variable(tf.zeros(self.shape), trainable=False)
            self.stretch = tf.Variable(tf.ones(self.shape), trainable=False)

        def redraw(self) -> None:
            self.shift.assign(self.random.normal(0.0, SHIFTED, self.shape))
            self.stretch.assign(self.random.uniform(1 - STRETCHED, 1 + STRETCHED, self.shape))

        def __call__(self, x: tf.Tensor, training: bool, own_statistics: int = 0) -> tf.Tensor:
            z = super().__call__(x, training, own_statistics)
            return z * self.stretch + self.shift if training or own_statistics else z

    net = DeepMLP(config)
    for at in range(config.depth):
        setattr(net, f"norm_{at}", Noisy(at))
    return net


def steps_of(
    net: Network, config: TrainConfig, data: Dataset, descend: Callable | None = None
) -> Iterator[tuple[int, tf.Tensor, tf.Tensor]]:
    """Train; before each step that is looked at, its number and its batch."""
    import tensorflow as tf

    from normlib.training import batches, sgd_step

    def plainly(images: tf.Tensor, labels: tf.Tensor) -> None:
        sgd_step(net, images, labels, config.learning_rate)

    step_of = tf.function(descend or plainly)
    count, number = min(config.train_size, len(data.train_images)), 0
    images, labels = tf.constant(data.train_images), tf.constant(data.train_labels)
    for epoch in range(config.epochs):
        order = batches(config, count, epoch)
        for at in range(0, count - config.batch_size + 1, config.batch_size):
            indices = order[at : at + config.batch_size]
            batch = tf.gather(images, indices), tf.gather(labels, indices)
            if number % EVERY == 0:
                yield number, *batch
            for norm in (part for part in net.submodules if hasattr(part, "redraw")):
                norm.redraw()
            step_of(*batch)
            number += 1


def accuracy(net: Network, data: Dataset) -> float:
    """On the test images, batch norm by its moving statistics."""
    import tensorflow as tf

    @tf.function
    def read(images: tf.Tensor) -> tf.Tensor:
        return tf.argmax(net.forward(images, training=False)["logits"], 1)

    parts = np.array_split(np.arange(len(data.test_images)), 20)
    told = np.concatenate([read(tf.constant(data.test_images[part])).numpy() for part in parts])
    return float(np.mean(told == data.test_labels))


def shift(name: str, seed: int, data: Dataset) -> Probe:
    """How far what ReLU gets moves between two looks, over all units of the last layer.

    For each unit |mean now - mean then| / std then, and |log(std now / std then)|, on the same
    images; their quartiles over the units.
    """
    import tensorflow as tf

    from normlib.deep import network

    method = "batch" if name == NOISY else name
    config = replace(SHIFT, normalization=method, seed=seed)
    net = noisy(config) if name == NOISY else network(config)
    images = tf.constant(data.validation_images[:500])

    @tf.function
    def moments() -> tuple[tf.Tensor, tf.Tensor]:
        stages = net.forward(images, training=False, own_statistics=True)
        mean, variance = tf.nn.moments(stages[f"input_{config.depth}"], 0)
        return mean, tf.sqrt(variance)

    before, steps = None, []
    values: dict[str, list] = {"mean": [], "std": []}
    for step, *_ in steps_of(net, config, data):
        mean, std = (one.numpy() for one in moments())
        if before is not None:
            alive = before[1] > 0
            moved = np.abs(mean - before[0])[alive] / before[1][alive]
            stretched = np.abs(np.log(np.maximum(std[alive], 1e-12) / before[1][alive]))
            steps.append(step)
            values["mean"].append(np.percentile(moved, (25, 50, 75)).tolist())
            values["std"].append(np.percentile(stretched, (25, 50, 75)).tolist())
        before = mean, std
    return Probe(name, seed, config.depth, steps, values, accuracy(net, data))


def roughness(method: str, depth: int, seed: int, data: Dataset) -> Probe:
    """`along_gradient` of the loss of the next batch, at every look."""
    import tensorflow as tf

    from normlib.deep import network

    config = replace(ROUGH, normalization=method, depth=depth, seed=seed)
    net = network(config)
    variables = net.trainable_variables
    sizes = [int(np.prod(one.shape)) for one in variables]

    @tf.function
    def measured(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            logits = net.forward(images, training=False, own_statistics=True)["logits"]
            labels = tf.cast(labels, tf.int32)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(each)
        return loss, tape.gradient(loss, variables)

    values: dict[str, list] = {"range": [], "change": [], "relative": []}
    steps = []
    for step, images, labels in steps_of(net, config, data):

        def value_and_gradient(x: np.ndarray, batch=(images, labels)) -> tuple[float, np.ndarray]:
            parts = np.split(x, np.cumsum(sizes)[:-1])
            for variable, part in zip(variables, parts, strict=True):
                variable.assign(part.reshape(variable.shape))
            loss, gradients = measured(*batch)
            return float(loss), np.concatenate([one.numpy().ravel() for one in gradients])

        here = np.concatenate([one.numpy().ravel() for one in variables])
        lengths = [config.learning_rate * one for one in STEPS_ALONG]
        found = along_gradient(value_and_gradient, here, lengths)
        value_and_gradient(here)  # back to where the training stands
        steps.append(step)
        for name, value in zip(values, found, strict=True):
            values[name].append(value)
    return Probe(method, seed, depth, steps, values, accuracy(net, data))


def turning(rule: str, seed: int, data: Dataset) -> Probe:
    """The length of a kernel that batch norm follows, by how many degrees a step turns it, and
    G = |w| · |dL/dw|, which the length of w leaves alone. rule: a key of `RULES`."""
    import keras
    import tensorflow as tf

    from normlib.deep import network

    config = replace(TURN, seed=seed)
    net = network(config)
    w = net.layers()[TURNED - 1][1].w
    optimizers: dict[str, Any] = {
        "sgd": keras.optimizers.SGD(config.learning_rate),
        "decay": keras.optimizers.SGD(config.learning_rate),
        "momentum": keras.optimizers.SGD(config.learning_rate, momentum=MOMENTUM),
        "adam": keras.optimizers.Adam(ADAM_RATE),
    }
    optimizer = optimizers[rule]
    optimizer.build(net.trainable_variables)
    gradient = tf.Variable(tf.zeros_like(w), trainable=False)
    before = tf.Variable(w, trainable=False)

    def descend(images: tf.Tensor, labels: tf.Tensor) -> None:
        variables = net.trainable_variables
        with tf.GradientTape() as tape:
            logits = net.forward(images, training=True)["logits"]
            labels = tf.cast(labels, tf.int32)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(each)
        found = tape.gradient(loss, variables)
        gradients = {v.ref(): one for v, one in zip(variables, found, strict=True)}
        gradient.assign(gradients[w.ref()])
        before.assign(w)
        if rule == "decay":
            gradients[w.ref()] += DECAY * w
        optimizer.apply_gradients([(g, v.deref()) for v, g in gradients.items()])

    values: dict[str, list] = {"length": [], "angle": [], "invariant": []}
    steps: list[int] = []
    for step, *_ in steps_of(net, config, data, descend):
        if step == 0:
            continue
        old, new, g = (one.numpy().ravel() for one in (before, w, gradient))
        length = float(np.linalg.norm(new))
        cosine = float(old @ new / (np.linalg.norm(old) * length))
        steps.append(step)
        values["length"].append(length)
        values["angle"].append(float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))))
        values["invariant"].append(float(np.linalg.norm(g) * np.linalg.norm(old)))
    return Probe(rule, seed, config.depth, steps, values, accuracy(net, data))


# ---- the recording ---------------------------------------------------------------------------


def content(data: Dataset) -> dict[str, Any]:
    """All probes, as they are recorded."""
    import tensorflow as tf

    from normlib.runtime import DEVICE

    with tf.device(DEVICE):
        probes = {
            "shift": [shift(n, s, data) for n, s in product(("none", "batch", NOISY), SHIFT_SEEDS)],
            "roughness": [
                roughness(m, d, s, data) for m, d, s in product(FOUR, ROUGH_DEPTHS, SEEDS)
            ],
            "turning": [turning(rule, seed, data) for rule, seed in product(RULES, SEEDS)],
        }
    return {name: [asdict(one) for one in all] for name, all in probes.items()}


@lru_cache
def probes(kind: str) -> list[Probe]:
    """The recorded ones: "shift", "roughness" or "turning"."""
    return [Probe(**one) for one in recorded.read("why")[kind]]


def late(values: Sequence[Any]) -> np.ndarray:
    """The second half of a series."""
    return np.array(values[len(values) // 2 :])


def medians(found: Sequence[Probe], name: str) -> dict[str, list[float]]:
    """By curve: the median over the training of what was measured, one number for each seed; of
    quartiles that of the middle one."""
    told: dict[str, list[float]] = {}
    for one in found:
        values = np.array(one.values[name])
        middle = values[:, 1] if values.ndim > 1 else values
        told.setdefault(one.name, []).append(float(np.median(middle)))
    return told


def noise_verdict() -> Verdict:
    """On the accuracy with batch norm and noise minus that without normalization, by seed."""
    right = accuracies(probes("shift"))
    return verdict(right[NOISY], right["none"])


def means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """By curve: the mean over the seeds."""
    return {name: float(np.mean(each)) for name, each in values.items()}


def share(first: Sequence[float], second: Sequence[float]) -> float:
    """The mean over the pairs of the first over the second."""
    return float(np.mean(np.divide(first, second)))


def accuracies(found: Sequence[Probe]) -> dict[str, list[float]]:
    """By curve: the test accuracy of each seed."""
    told: dict[str, list[float]] = {}
    for one in found:
        told.setdefault(one.name, []).append(one.accuracy)
    return told


def band(found: Sequence[Probe], name: str) -> list[dict[str, Any]]:
    """By curve and step the mean and the extremes over the seeds; of quartiles over units, their
    means over the seeds."""
    rows = []
    for curve in dict.fromkeys(one.name for one in found):
        seeds = [one for one in found if one.name == curve]
        values = np.array([one.values[name] for one in seeds])
        if values.ndim > 2:
            low, mid, high = values.mean(0).T
        else:
            low, mid, high = values.min(0), values.mean(0), values.max(0)
        steps = seeds[0].steps
        rows += [
            {"method": curve, "step": step, "low": a, "mid": b, "high": c}
            for step, a, b, c in zip(steps, low, mid, high, strict=True)
        ]
    return rows
