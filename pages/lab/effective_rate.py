"""A kernel whose length batch norm undoes: how far a step turns it, and where its length settles.

What the trainings showed is recorded by `why.turning`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pages.lab.why import ADAM_RATE, DECAY, MOMENTUM, TURN, late, probes


def settles(invariant: Sequence[float] | np.ndarray) -> float:
    """Where weight decay lets the length of such a kernel settle.

        |w|^4 = rate · mean(G²) / (2 · decay)

    There decay takes as much of |w|² as a step, at a right angle to w, adds to it.
    Source: van Laarhoven, 2017, arXiv:1706.05350, section 3.
    """
    return (TURN.learning_rate * float(np.mean(np.square(invariant))) / (2 * DECAY)) ** 0.25


def rate(rule: str, length: float) -> float:
    """By how much a step moves the direction w / |w|, for a gradient of length 1 at |w| = 1.

        rate / |w|²;   with momentum m: rate / ((1 - m) |w|²);   Adam: rate / |w|

    The gradient of a scale-invariant kernel goes as 1 / |w|, and a step of length s turns w by
    s / |w|; Adam divides by the size of the gradients, and so loses the first of the two factors.
    length: |w|. Source: van Laarhoven, 2017, arXiv:1706.05350, section 2.
    """
    if rule == "adam":
        return ADAM_RATE / length
    return TURN.learning_rate / length**2 / (1 - MOMENTUM if rule == "momentum" else 1)


@dataclass(frozen=True)
class Step:
    """One step of a kernel: |w| before and after, and its turn in degrees."""

    before: float
    after: float
    turn: float


def one_step(length: float, invariant: float, rate: float) -> Step:
    """A step of plain SGD from |w| = length, where the gradient is at a right angle to w.

        |w'|² = |w|² + s²,   tan(turn) = s / |w|,   s = rate · G / |w|

    invariant: G, as `turning` measures it. However large the rate, no step turns w by 90 degrees,
    and the longer w has become, the less the next one turns it.
    """
    step = rate * invariant / length
    return Step(length, float(np.hypot(length, step)), float(np.degrees(np.arctan2(step, length))))


@lru_cache
def bold_step(times: float) -> Step:
    """`one_step` at `times` the learning rate of plain SGD, from where it was first looked at;
    means over the seeds."""
    values = [one.values for one in probes("turning") if one.name == "sgd"]
    steps = [
        one_step(each["length"][0], each["invariant"][0], times * TURN.learning_rate)
        for each in values
    ]
    return Step(*np.mean([[one.before, one.after, one.turn] for one in steps], axis=0).tolist())


@dataclass(frozen=True)
class Turned:
    """What became of the kernel by one rule, a key of `RULES`; means over the seeds.

    first, last: its length at the first and the last look. angle: the median turn of a step in the
    second half, degrees. settled: where `settles` puts the length of each seed.
    """

    rule: str
    first: float
    last: float
    angle: float
    settled: tuple[float, ...]

    @property
    def theory(self) -> tuple[float, float, float]:
        """Of `settled` the smallest, the mean and the largest."""
        return min(self.settled), float(np.mean(self.settled)), max(self.settled)

    @property
    def rates(self) -> tuple[float, float]:
        """`rate` at the first and at the last look."""
        return rate(self.rule, self.first), rate(self.rule, self.last)


@lru_cache
def turned(rule: str) -> Turned:
    """That of the recorded trainings."""
    found = [one for one in probes("turning") if one.name == rule]
    lengths = np.mean([one.values["length"] for one in found], axis=0)
    return Turned(
        rule,
        float(lengths[0]),
        float(lengths[-1]),
        float(np.mean([np.median(late(one.values["angle"])) for one in found])),
        tuple(settles(late(one.values["invariant"])) for one in found),
    )
