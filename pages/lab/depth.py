"""How a signal passes through many layers, and which depths can be trained.

A `Signal` is looked at before any training; the map of what can be learned ships with the lab.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from normlib.config import TrainConfig
from pages.lab import recorded
from pages.lab.sweeps import FOUR, Outcome

if TYPE_CHECKING:
    from normlib.mnist import Dataset

IMAGES = 128  # that a signal is measured on
WIDTH = TrainConfig().hidden_units
# The trainings of the map: two passes over few images, a matter of seconds each.
SMALL = TrainConfig(train_size=6_000, epochs=2)
DEPTHS = (1, 2, 5, 10, 20, 30)
SCALES = (0.03, 0.1, 0.1414, 0.3)  # the third keeps the spread: √(2/100)
RATES = (0.003, 0.03, 0.3)
SEEDS = (0, 1)


@dataclass(frozen=True)
class Signal:
    """The root mean square, layer by layer, at the first weights.

    outputs: of what each layer gives. gradients: of the loss's gradient there.
    """

    outputs: tuple[float, ...]
    gradients: tuple[float, ...]

    @property
    def passed(self) -> float:
        """The last layer's output over the first's."""
        return self.outputs[-1] / self.outputs[0] if self.outputs[0] else 0.0

    @property
    def per_layer(self) -> tuple[float, float]:
        """The factor from layer to layer, in the mean: of the outputs on their way up, and of the
        gradients on their way down."""
        steps = len(self.outputs) - 1
        if not steps:
            return 1.0, 1.0
        up = self.outputs[-1] / self.outputs[0], self.gradients[0] / self.gradients[-1]
        return up[0] ** (1 / steps), up[1] ** (1 / steps)


def signal(config: TrainConfig, data: Dataset) -> Signal:
    """That of the first images, in float64: through thirty layers it may shrink to 1e-40."""
    import tensorflow as tf

    from normlib.deep import DeepMLP, spread
    from normlib.runtime import DEVICE

    with tf.device(DEVICE):
        net = DeepMLP(config, tf.float64)
        labels = tf.cast(data.train_labels[:IMAGES], tf.int32)
        pixels = tf.constant(data.train_images[:IMAGES])
        with tf.GradientTape() as tape:
            stages = net.forward(pixels, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, stages["logits"])
            loss = tf.reduce_mean(losses)
        outputs = [stages[f"output_{one}"] for one in range(1, config.depth + 1)]
        gradients = tape.gradient(loss, outputs)
        return Signal(
            tuple(float(spread(one)) for one in outputs),
            tuple(float(spread(one)) for one in gradients),
        )


def factor(config: TrainConfig) -> float:
    """By how much a plain layer without normalization multiplies the spread.

        √(n σ² / 2)

    n inputs, weights of variance σ², and ReLU, which lets half of the squares pass; the same for
    gradients on their way back. It is 1 for σ = √(2/n).
    Source: He et al., 2015, arXiv:1502.01852, section 2.2.
    """
    return math.sqrt(config.hidden_units / 2) * config.start_scale


def theory(plain: Signal, config: TrainConfig) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Where `factor` puts outputs and gradients, from the first and from the last layer on."""
    per_layer, last = factor(config), config.depth - 1
    return (
        tuple(plain.outputs[0] * per_layer**layer for layer in range(config.depth)),
        tuple(plain.gradients[-1] * per_layer ** (last - layer) for layer in range(config.depth)),
    )


# ---- what can be learned ---------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """One place of the map: a method at a depth and a start scale, at its best learning rate.

    rate: that of the highest validation accuracy, mean over the seeds; None where each diverged.
    accuracy, low, high: of the test images (0..1) at that rate, mean and extremes over the seeds.
    by_rate: rate -> mean test accuracy; a training that diverged counts as guessing.
    """

    method: str
    depth: int
    scale: float
    rate: float | None
    accuracy: float
    low: float
    high: float
    by_rate: Mapping[float, float]


def config(
    method: str, depth: int, scale: float, rate: float, seed: int = 0, residual: str = "none"
) -> TrainConfig:
    """The training at one place of the map."""
    return replace(
        SMALL,
        normalization=method,
        depth=depth,
        start_scale=scale,
        learning_rate=rate,
        seed=seed,
        residual=residual,
    )


def configs() -> list[TrainConfig]:
    """Every training of the map."""
    return [config(*place) for place in product(FOUR, DEPTHS, SCALES, RATES, SEEDS)]


def to_content(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The map as a recording: its settings, and an outcome for each of `configs`."""
    places = {"depths": DEPTHS, "scales": SCALES, "rates": RATES, "seeds": SEEDS, "methods": FOUR}
    return {**places, "base": asdict(SMALL), "outcomes": [asdict(one) for one in outcomes]}


GUESSED = 0.1  # what a training that diverged counts as: one digit in ten


@lru_cache
def cells() -> dict[tuple[str, int, float], Cell]:
    """The recorded map, by method, depth and start scale."""
    rows = recorded.read("depth")["outcomes"]
    names = [field.name for field in fields(Outcome)]
    outcomes = (Outcome(**{name: row[name] for name in names}) for row in rows)
    found = dict(zip(product(FOUR, DEPTHS, SCALES, RATES, SEEDS), outcomes, strict=True))
    return {
        place: cell(place, {(rate, seed): found[*place, rate, seed] for rate, seed in grid})
        for grid in [list(product(RATES, SEEDS))]
        for place in product(FOUR, DEPTHS, SCALES)
    }


def cell(place: tuple[str, int, float], outcomes: Mapping[tuple[float, int], Outcome]) -> Cell:
    """The best of these trainings, by learning rate and seed."""
    tests: dict[float, list[float]] = {}
    read: dict[float, list[float]] = {}
    for (rate, _), one in outcomes.items():
        tests.setdefault(rate, []).append(GUESSED if one.accuracy is None else one.accuracy)
        read.setdefault(rate, []).append(GUESSED if one.accuracy is None else one.validation or 0.0)
    best = max(tests, key=lambda rate: float(np.mean(read[rate])))
    ended = [one.accuracy for (rate, _), one in outcomes.items() if rate == best]
    by_rate = {rate: float(np.mean(each)) for rate, each in tests.items()}
    return Cell(
        *place,
        rate=None if ended == [None] * len(ended) else best,
        accuracy=by_rate[best],
        low=min(tests[best]),
        high=max(tests[best]),
        by_rate=by_rate,
    )


LEARNED = 0.5  # a test accuracy from which on a network has learned something


def nearest(depth: int, scale: float) -> tuple[int, float]:
    """The place of the map that comes nearest to these settings."""
    layers = min(DEPTHS, key=lambda one: abs(math.log(one / depth)))
    return layers, min(SCALES, key=lambda one: abs(math.log(one / scale)))


def learned(place: tuple[int, float]) -> set[str]:
    """The methods whose recorded network of this depth and start scale reads `LEARNED` or more, in
    the mean over the seeds."""
    found = cells()
    return {method for method in FOUR if found[method, *place].accuracy >= LEARNED}


def deepest(scale: float) -> dict[str, int]:
    """By method: the deepest recorded network that learned with every seed; 0 where none did."""
    found = cells()
    return {
        method: max((d for d in DEPTHS if found[method, d, scale].low >= LEARNED), default=0)
        for method in FOUR
    }


# ---- layer by layer --------------------------------------------------------------------------


def small_gradients(norms: Sequence[float]) -> str:
    """In which third of the layers the gradient of a kernel is smallest: "first", "middle" or
    "last"; "none" where the largest is less than ten times the smallest."""
    if max(norms) < 10 * min(norms):
        return "none"
    return ("first", "middle", "last")[3 * int(np.argmin(norms)) // len(norms)]


def heat(recorded_rows: Mapping[str, Sequence[Any]], measure: str, layer: int) -> dict[str, list]:
    """What a training recorded as tidy columns: step, row and value.

    measure: "spread", "gradients" and "dead" have a row for each layer; "histogram" is that of
    what the ReLU of one layer gets, a row for each bin, at its middle, and the share of numbers.
    """
    from normlib.deep import BINS, REACH

    name = {"gradients": "gradient_norms", "histogram": "histograms"}.get(measure, measure)
    table = np.array(recorded_rows[name], float)
    if measure == "histogram":
        table = table[:, layer - 1]
        table /= table.sum(1, keepdims=True)
        rows = (np.arange(BINS) + 0.5) * 2 * REACH / BINS - REACH
    else:
        table = table[:, : len(recorded_rows["spread"][0])]  # without the logits
        rows = np.arange(1, table.shape[1] + 1)
    steps = np.array(recorded_rows["step"])
    return {
        "step": np.repeat(steps, len(rows)).tolist(),
        "row": np.tile(rows, len(steps)).tolist(),
        "value": table.ravel().tolist(),
    }
