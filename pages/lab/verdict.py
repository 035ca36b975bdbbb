"""Whether two methods differ: the one place that decides it, from paired trainings.

Trainings with the same seed share their start and their mini-batches, so the difference is taken
seed by seed. With d_i = first_i - second_i, n of them, their mean d and standard deviation s,

    d ± t · s / √n,    t: Student's quantile for n - 1 degrees of freedom

holds the true difference in 97 of 100 cases. Two methods differ where this interval leaves out 0,
and are level where it stays within a margin that the caller calls nothing. 97 rather than 95 %,
so that also where differences are not normally distributed at most 5 % of equal methods are told
apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from pages.lab.words import number

CONFIDENCE = 0.97
FEWEST_PAIRS = 3  # of two pairs no interval is worth its name


@dataclass(frozen=True)
class Verdict:
    """What paired trainings say of two methods.

    differences: first minus second, by seed. low, high: the interval of the mean; infinite with
    fewer than `FEWEST_PAIRS` pairs.
    """

    differences: tuple[float, ...]
    mean: float
    low: float
    high: float
    margin: float

    @property
    def status(self) -> Literal["differs", "level", "not settled"]:
        if self.low > 0 or self.high < 0:
            return "differs"
        if -self.margin <= self.low and self.high <= self.margin:
            return "level"
        return "not settled"

    @property
    def differs(self) -> bool:
        return self.status == "differs"

    @property
    def settled(self) -> str:
        """`in every pair`; `level within ±0.2`; `in 2 of 3 pairs: not settled`.

        Where all pairs agree and it is not settled, there are too few of them.
        """
        if self.status == "level":
            return f"level within ±{number(self.margin)}" if self.margin else "no difference"
        count = len(self.differences)
        agreeing = sum(one * self.mean > 0 for one in self.differences)
        pairs = f"in {agreeing} of {count} pairs" if agreeing < count else "in every pair"
        pairs = "in the one pair" if count == 1 else pairs
        if self.differs:
            return pairs
        return f"{pairs}, too few to settle it" if agreeing == count else f"{pairs}: not settled"


def verdict(first: Sequence[float], second: Sequence[float], margin: float = 0.0) -> Verdict:
    """What the trainings of two methods say, a number each for the same seeds in the same order.

    margin: a difference so small that it counts as none.
    """
    differences = tuple(a - b for a, b in zip(first, second, strict=True))
    count = len(differences)
    mean, reach = math.fsum(differences) / count, math.inf
    if count >= FEWEST_PAIRS:
        # Sorted, so that no rounding depends on the order of the seeds.
        deviation = float(np.std(sorted(differences), ddof=1))
        reach = quantile(count - 1) * deviation / math.sqrt(count)
    return Verdict(differences, mean, mean - reach, mean + reach, margin)


@lru_cache
def quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """How many standard errors around 0 hold this share of Student's t distribution.

    With x = √freedom · tan(angle) its density becomes cos(angle)^(freedom - 1).
    """
    angle = np.linspace(0.0, np.pi / 2, 20_001)
    density = np.cos(angle) ** (freedom - 1)
    inside = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return float(np.sqrt(freedom) * np.tan(np.interp(confidence, inside / inside[-1], angle)))
