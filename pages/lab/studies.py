"""Trained networks that are looked at: which they are, and what is recorded of them.

A `Study` is one trained batch norm with three kinds of statistics; `Mates` is one test image that
several networks classify, batch norm in many batches. `inference` computes both; nothing here
needs TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from normlib.config import CHOICES, PIXELS, TrainConfig
from pages.lab import recorded
from pages.lab.sweeps import FOUR, SMALL

# Each training batch size with the usual momentum, and each momentum with the usual batch size.
TRAINED_SIZES = (4, 16, 64, 256)
MOMENTA = (0.0, 0.5, 0.9, 0.99, 0.999)
MATES_TRAINED_WITH = 16  # images per batch
MATES_SIZES = (2, 8, 32)
POSITIONS = PIXELS  # of the convolution, so many numbers of each image are in a channel's mean
PINNED, ONE_CLASS = 712, 1  # the test image that is pinned at first; the class of sorted mates


def small(placement: str) -> TrainConfig:
    """The small training with a learning rate that suits what is normalized.

    A normalized dense layer hardly moves at 0.01; without it 0.1 is too fast (see "rates").
    """
    rate = {"conv": 0.01, "conv and dense": 0.1}[placement]
    return replace(SMALL, placement=placement, learning_rate=rate)


def inference_configs() -> list[TrainConfig]:
    """The trainings behind the recorded comparison of statistics."""
    sizes: list[dict[str, Any]] = [{"batch_size": size} for size in TRAINED_SIZES]
    momenta = [{"momentum": momentum} for momentum in MOMENTA if momentum != SMALL.momentum]
    return [
        replace(small(placement), **change)
        for placement in CHOICES["placement"]
        for change in (*sizes, *momenta)
    ]


def mates_configs(placement: str) -> dict[str, TrainConfig]:
    """The four networks that classify one pinned digit, by method."""
    base = replace(small(placement), batch_size=MATES_TRAINED_WITH)
    return {method: replace(base, normalization=method) for method in FOUR}


# ---- three kinds of statistics ---------------------------------------------------------------


@dataclass(frozen=True)
class Study:
    """A trained batch norm with three kinds of statistics.

    own: test batch size -> accuracy (0..1), each batch by its own statistics.
    moving, recomputed: the accuracies with these; batches: of how many training batches the
        recomputed ones are the average. steps: of the training.
    off: how far the moving mean and variance lie from the recomputed ones, as the largest
        difference over the channels of the convolution in standard deviations ("mean"), and as
        the largest factor between variances ("variance").
    """

    config: TrainConfig
    own: Mapping[int, float]
    moving: float
    steps: int
    batches: int
    recomputed: float
    off: Mapping[str, float]

    @property
    def lost(self) -> float:
        """How much less (0..1) it reads by the statistics of each image alone."""
        return self.moving - self.own[1]

    @property
    def own_as_trained(self) -> float:
        """The accuracy by the batch's own statistics, in batches like those of the training."""
        return self.own[max(size for size in self.own if size <= self.config.batch_size)]


@lru_cache
def recorded_studies() -> dict[TrainConfig, Study]:
    """The recorded studies, by `only_used` of their config."""
    found = {}
    for one in recorded.read("inference")["studies"]:
        config = TrainConfig.from_dict(one["config"])
        own = {int(size): right for size, right in one["own"].items()}
        found[config.only_used()] = Study(**one | {"config": config, "own": own})
    return found


def nearest(config: TrainConfig, along: str) -> TrainConfig:
    """The recorded training that comes nearest to this one, to look at along one of its settings.

    Recorded are some batch sizes with the usual momentum, and some momenta with the usual size.
    """
    usual = small(config.placement)
    if along == "momentum" or (along == "test" and config.batch_size == usual.batch_size):
        momentum = min(MOMENTA, key=lambda one: abs(one - config.momentum))
        return replace(usual, momentum=momentum)
    size = min(TRAINED_SIZES, key=lambda one: abs(np.log(one / config.batch_size)))
    return replace(usual, batch_size=size)


def unbiased(numbers: int) -> float:
    """m/(m - 1), by which the variance of m numbers grows where it is to be unbiased."""
    return numbers / (numbers - 1)


def curve(found: Sequence[Study], kind: str, along: str) -> dict[float, float]:
    """The accuracy with one kind of statistics, "own", "moving" or "recomputed", by place.

    along: "test" is the test batch size, of the one study; "momentum" and "batch" are settings
    of the trainings, one study each.
    """
    if along == "test":
        (study,) = found
        return {
            size: own if kind == "own" else getattr(study, kind) for size, own in study.own.items()
        }
    field = {"momentum": "momentum", "batch": "batch_size"}[along]
    name = "own_as_trained" if kind == "own" else kind
    return {getattr(study.config, field): getattr(study, name) for study in found}


def arrived(momentum: float, steps: int | np.ndarray) -> float | np.ndarray:
    """The share of a moving average that is not its start value any more: 1 - m^t."""
    return 1.0 - np.power(float(momentum), steps)


# ---- batch-mates -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Mates:
    """One test image, classified with other mates in each of B batches of `size`.

    digit: the class of all mates, None for random ones. cloud: the logits under batch norm by the
    batch's own statistics, (B, 10). alone: method -> its ten logits at test time, where no mate
    matters. random, sorted: accuracy (0..1) on the test images in random batches of this size and
    in batches of one class; None where none is full.
    """

    pinned: int
    label: int
    size: int
    digit: int | None
    cloud: np.ndarray
    alone: Mapping[str, np.ndarray]
    random: float | None
    sorted: float | None

    @property
    def margins(self) -> np.ndarray:
        """The margin in each batch, (B,)."""
        return margin(self.cloud, self.label)

    @property
    def classified_as(self) -> np.ndarray:
        """In how many of the batches the image is classified as each digit, (10,)."""
        return np.bincount(self.cloud.argmax(1), minlength=10)


def margin(logits: np.ndarray, label: int) -> np.ndarray:
    """The right class's logit minus the largest other: above 0 the image is classified correctly.

    logits: (..., 10). Returns (...).
    """
    return logits[..., label] - np.delete(logits, label, axis=-1).max(-1)


def recorded_mates(placement: str, size: int, digit: int | None, pinned: int) -> Mates:
    """The recorded picture that is asked for, or else the one that comes nearest to it."""
    (view,) = (one for one in recorded.read("mates")["views"] if one["placement"] == placement)
    size = min(MATES_SIZES, key=lambda one: abs(one - size))
    who = "random" if digit is None else str(ONE_CLASS)
    return Mates(
        view["pinned"],
        view["label"],
        size,
        None if digit is None else ONE_CLASS,
        np.array(view["cloud"][who][str(size)]) / 100,
        {method: np.array(ten) for method, ten in view["alone"].items()},
        view["accuracy"]["random"][str(size)],
        view["accuracy"]["sorted"][str(size)],
    )
