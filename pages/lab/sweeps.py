"""Many small trainings as one question: what a sweep consists of, and what came of it.

A `Sweep` is a list of configs along one setting, for each method and seed; an `Outcome` is what
is left of a training in such a picture. Some sweeps ship with the lab (`PLANS`). Outcomes go by
`config.only_used()`, equal for configs that ask for the same training. Nothing here needs
TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np

from normlib.config import LIMITS, TrainConfig
from normlib.run import Run
from pages.lab import recorded as recordings
from pages.lab.experiment import FINAL

FOUR = ("none", "batch", "weight", "layer")
SIZES = (2, 4, 8, 32, 128, 256)
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
# A training small enough that some hundred of them are a matter of minutes.
SMALL = TrainConfig(train_size=6_000, epochs=1)
MNIST_IMAGES = int(LIMITS["train_size"][1])  # to train on; the recorded sweeps are about MNIST
UPDATES = 94  # as many as the small training takes with batches of 64
HELD = {"images": "Images", "updates": "Updates", "rate": "Rate per image"}
PAPER_SIZES = (4, 128)
NEAR = 0.10  # a learning rate is usable if every seed comes so near to the method's best


@dataclass(frozen=True)
class Outcome:
    """What a sweep keeps of a training: how it ended, its test and validation accuracy (0..1), its
    steps."""

    status: str
    accuracy: float | None
    steps: int
    seconds: float
    validation: float | None = None

    @classmethod
    def of(cls, run: Run) -> Outcome:
        """The outcome of a run that came to its end."""
        validation = run.epochs[-1].validation_accuracy if run.epochs else None
        seconds = round(run.seconds, 2)
        return cls(run.status, run.test_accuracy, len(run.losses), seconds, validation)


@dataclass(frozen=True)
class Sweep:
    """One training for each method, each value of one setting, and each seed.

    along: the field of `TrainConfig` that changes, "batch_size" or "learning_rate".
    held: what is equal along the batch sizes. "images": each reads the same images as often, so
        small batches take more updates; epochs are then equal too. "updates": each takes
        `UPDATES` steps, so large batches read more images (once each). "rate": images as in
        "images", and a learning rate in proportion to the batch size, so that each image moves
        the weights about as far; `base.learning_rate` is that of `base.batch_size`.
    """

    along: str
    values: tuple[float, ...]
    methods: tuple[str, ...] = FOUR
    seeds: tuple[int, ...] = (0, 1, 2)
    base: TrainConfig = SMALL
    held: str = "images"

    def configs(self) -> list[TrainConfig]:
        """Every training: seed by seed, so that an interrupted sweep has a picture of fewer."""
        return [
            self.config(method, value, seed)
            for seed in self.seeds
            for value in self.values
            for method in self.methods
        ]

    def config(self, method: str, value: float, seed: int) -> TrainConfig:
        """The training at one place of the picture."""
        changes: dict[str, Any] = {self.along: value, "normalization": method, "seed": seed}
        if self.along == "batch_size" and self.held == "updates":
            changes |= {"train_size": min(MNIST_IMAGES, int(value) * UPDATES), "epochs": 1}
        if self.along == "batch_size" and self.held == "rate":
            changes["learning_rate"] = self.base.learning_rate * value / self.base.batch_size
        return replace(self.base, **changes)


Outcomes = Mapping[TrainConfig, Outcome]

# The sweeps that ship with the lab.
_DENSE = replace(SMALL, placement="conv and dense")
PLANS: dict[str, Sweep] = {
    **{held: Sweep("batch_size", SIZES, held=held) for held in HELD},
    **{f"{held}-dense": Sweep("batch_size", SIZES, base=_DENSE, held=held) for held in HELD},
    "paper": Sweep(
        "batch_size",
        PAPER_SIZES,
        ("batch", "layer"),
        base=replace(_DENSE, learning_rate=0.1),
    ),
    "rates": Sweep("learning_rate", RATES, seeds=(0, 1)),
    "rates-dense": Sweep("learning_rate", RATES, seeds=(0, 1), base=_DENSE),
}


def to_content(sweep: Sweep, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A sweep as a recording: its settings, and a row for each of its `configs`."""
    rows = [
        {"method": config.normalization, "value": getattr(config, sweep.along), "seed": config.seed}
        | asdict(outcome)
        for config, outcome in zip(sweep.configs(), outcomes, strict=True)
    ]
    return {"sweep": asdict(sweep), "results": rows}


def from_content(sweep: Sweep, content: Mapping[str, Any]) -> dict[TrainConfig, Outcome]:
    """The outcomes of a sweep from its recording."""
    outcomes = {}
    for row in content["results"]:
        config = sweep.config(row["method"], row["value"], row["seed"])
        kept = {field.name: row[field.name] for field in fields(Outcome)}
        outcomes[config.only_used()] = Outcome(**kept)
    return outcomes


@lru_cache
def recorded_outcomes() -> dict[TrainConfig, Outcome]:
    """Every recorded training of a sweep."""
    return {
        config: outcome
        for name, sweep in PLANS.items()
        for config, outcome in from_content(sweep, recordings.read(f"sweep-{name}")).items()
    }


def origin(sweep: Sweep) -> dict[str, Any]:
    """Where the recorded trainings of a sweep come from."""
    asked = {config.only_used() for config in sweep.configs()}
    holding = (
        name
        for name, plan in PLANS.items()
        if asked <= {config.only_used() for config in plan.configs()}
    )
    return recordings.read(f"sweep-{next(holding, next(iter(PLANS)))}")["origin"]


# ---- what came of it -------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One place of a picture: a method at one value, over the seeds.

    mean, low and high of the accuracy (0..1), over the trainings that kept finite numbers; NaN
    where none did. done counts the trainings, diverged those that left the finite numbers.
    """

    method: str
    value: float
    mean: float
    low: float
    high: float
    done: int
    diverged: int

    @property
    def learned(self) -> bool:
        """Whether any training kept finite numbers."""
        return self.done > self.diverged


def rows(sweep: Sweep, outcomes: Outcomes) -> list[Row]:
    """The picture of what has come so far, method by method."""
    picture = []
    for method in sweep.methods:
        for value in sweep.values:
            configs = (sweep.config(method, value, seed).only_used() for seed in sweep.seeds)
            found = [outcomes[config] for config in configs if config in outcomes]
            right = [outcome.accuracy for outcome in found if outcome.status in FINAL]
            if right:
                kept = [share for share in right if share is not None] or [float("nan")]
                spread = (float(np.mean(kept)), min(kept), max(kept))
                picture.append(Row(method, value, *spread, len(right), right.count(None)))
    return picture


def by_method(picture: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each method, in the order of its values."""
    grouped: dict[str, list[Row]] = {}
    for row in picture:
        grouped.setdefault(row.method, []).append(row)
    return grouped


def updates(sweep: Sweep, images: int) -> dict[float, int]:
    """How many steps its trainings take at each value, on training data of so many images."""
    configs = {value: sweep.config(sweep.methods[0], value, 0) for value in sweep.values}
    return {
        value: -(-min(config.train_size, images) // config.batch_size) * config.epochs
        for value, config in configs.items()
    }


def changes(sweep: Sweep, picture: Iterable[Row]) -> dict[str, float]:
    """What the smallest value adds to the accuracy at the largest, by method."""
    small, large = min(sweep.values), max(sweep.values)
    at = {(row.method, row.value): row.mean for row in picture if row.learned}
    return {
        method: at[method, small] - at[method, large]
        for method in sweep.methods
        if small != large and (method, small) in at and (method, large) in at
    }


class Ahead(NamedTuple):
    """The best method at one value, and the others: beaten with every seed, or overlapping.

    A method is beaten if even its best seed stays below the worst of the best method's.
    """

    best: Row
    beaten: tuple[str, ...]
    overlapping: tuple[str, ...]


def ahead(picture: Iterable[Row], value: float) -> Ahead | None:
    """Which method is ahead at this value; None where fewer than two have an accuracy."""
    there = [row for row in picture if row.value == value and row.learned]
    if len(there) < 2:
        return None
    best = max(there, key=lambda row: row.mean)
    beaten = tuple(row.method for row in there if row.high < best.low)
    rest = (row.method for row in there if row is not best and row.method not in beaten)
    return Ahead(best, beaten, tuple(rest))


@dataclass(frozen=True)
class Usable:
    """The learning rates at which a method comes near its own best accuracy.

    low, high: the least and the greatest of them, in one row with the best rate; None where the
    seeds lie too far apart even there. best: the rate of the highest mean accuracy, and peak that
    accuracy; None where every training diverged.
    """

    method: str
    low: float | None = None
    high: float | None = None
    best: float | None = None
    peak: float | None = None

    def against(self, other: Usable) -> tuple[int, int] | None:
        """Where the usable rates begin and end, each -1 (lower), 0 (the same) or 1 (higher).

        None where one of the two has no usable rate.
        """
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return None
        return int(np.sign(self.low - other.low)), int(np.sign(self.high - other.high))


def moved_cliff(picture: Iterable[Row]) -> dict[str, Any]:
    """How many methods are usable up to higher rates than no normalization, and of how many;
    nothing without it, or without another."""
    found = usable(picture)
    plain = found.pop("none", None)
    if plain is None or not found:
        return {}
    ends = [one.against(plain) for one in found.values()]
    return {"higher": sum(end is not None and end[1] > 0 for end in ends), "others": len(ends)}


def usable(picture: Iterable[Row]) -> dict[str, Usable]:
    """By method: the unbroken row of usable learning rates around its best one.

    Where a seed diverged, or stayed more than `NEAR` below the method's best mean, the rate is
    not usable.
    """
    found = {}
    for method, theirs in by_method(picture).items():
        best = max((row for row in theirs if row.learned), key=lambda row: row.mean, default=None)
        if best is None:
            found[method] = Usable(method)
            continue
        good = [not row.diverged and row.low >= best.mean - NEAR for row in theirs]
        at = theirs.index(best)
        low = high = None
        if good[at]:
            fewer = len(list(takewhile(bool, reversed(good[:at]))))
            more = len(list(takewhile(bool, good[at + 1 :])))
            low, high = theirs[at - fewer].value, theirs[at + more].value
        found[method] = Usable(method, low, high, best.value, best.mean)
    return found


def best_rates(placement: str) -> dict[str, float]:
    """By method: the recorded learning rate of the highest validation accuracy, mean over the
    seeds; one that diverged counts as nothing."""
    plan = next(p for n, p in PLANS.items() if n[:5] == "rates" and p.base.placement == placement)
    outcomes, found = recorded_outcomes(), {}
    for method in plan.methods:
        read = {
            rate: np.mean(
                [
                    outcomes[plan.config(method, rate, seed).only_used()].validation or 0.0
                    for seed in plan.seeds
                ]
            )
            for rate in plan.values
        }
        found[method] = max(read, key=read.__getitem__)
    return found
