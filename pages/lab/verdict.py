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
    def agreeing(self) -> int:
        """In how many pairs the difference has the sign of the mean."""
        return sum(one * self.mean > 0 for one in self.differences)

    @property
    def pairs(self) -> str:
        """`in every pair`, `in 2 of 3 pairs`, `in the one pair`."""
        if len(self.differences) == 1:
            return "in the one pair"
        every = self.agreeing == len(self.differences)
        return "in every pair" if every else f"in {self.agreeing} of {len(self.differences)} pairs"

    @property
    def settled(self) -> str:
        """`in every pair`; `level within ±0.2`; `in 2 of 3 pairs: not settled`.

        Where all pairs agree and it is not settled, there are too few of them.
        """
        if self.status == "level":
            return f"level within ±{number(self.margin)}" if self.margin else "no difference"
        if self.differs:
            return self.pairs
        agree = self.agreeing == len(self.differences)
        return f"{self.pairs}, too few to settle it" if agree else f"{self.pairs}: not settled"


def verdict(first: Sequence[float], second: Sequence[float], margin: float = 0.0) -> Verdict:
    """What the trainings of two methods say, a number each for the same seeds in the same order.

    margin: a difference so small that it counts as none.
    """
    # Sorted, so that no rounding depends on the order of the seeds.
    sorted_differences = sorted(a - b for a, b in zip(first, second, strict=True))
    count = len(sorted_differences)
    mean = math.fsum(sorted_differences) / count
    reach = math.inf
    if count >= FEWEST_PAIRS:
        reach = quantile(count - 1) * float(np.std(sorted_differences, ddof=1)) / math.sqrt(count)
    differences = tuple(a - b for a, b in zip(first, second, strict=True))
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
