"""Many small trainings as one question: what a sweep consists of, and what came of it.

A `Sweep` is a list of configs along one setting, for each method and seed; an `Outcome` is what
is left of a training in such a picture. Recorded sweeps ship with the package as JSON
(`python -m pages.lab sweep` writes them). Nothing here needs TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from normlib.config import CHOICES, LIMITS, METHODS, TrainConfig
from normlib.run import Run
from pages.lab import recorded as recordings

FOUR = ("none", "batch", "weight", "layer")
SIZES = (2, 4, 8, 32, 128, 256)
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
# A training small enough that some hundred of them are a matter of minutes.
SMALL = TrainConfig(train_size=6_000, epochs=1)
UPDATES = 94  # as many as the small training takes with batches of 64
HELD = {"images": "Images and epochs", "updates": "Updates"}
PAPER_SIZES = (4, 128)
NEAR = 0.10  # a learning rate is usable if every seed comes so near to the method's best


@dataclass(frozen=True)
class Outcome:
    """What a sweep keeps of a training: how it ended, its test accuracy (0..1), its steps."""

    status: str
    accuracy: float | None
    steps: int
    seconds: float

    @classmethod
    def of(cls, run: Run) -> Outcome:
        """The outcome of a run that came to its end."""
        return cls(run.status, run.test_accuracy, len(run.losses), round(run.seconds, 2))


@dataclass(frozen=True)
class Point:
    """One training of a sweep: where it stands in the picture, and its config."""

    method: str
    value: float
    seed: int
    config: TrainConfig


@dataclass(frozen=True)
class Sweep:
    """One training for each method, each value of one setting, and each seed.

    along: the field of `TrainConfig` that changes, "batch_size" or "learning_rate".
    held: what is equal along the batch sizes. "images": each reads the same images as often, so
        small batches take more updates; epochs are then equal too. "updates": each takes
        `UPDATES` steps, so large batches read more images (once each).
    """

    along: str
    values: tuple[float, ...]
    methods: tuple[str, ...] = FOUR
    seeds: tuple[int, ...] = (0, 1, 2)
    base: TrainConfig = SMALL
    held: str = "images"

    def points(self) -> list[Point]:
        """Every training: seed by seed, so that an interrupted sweep has a picture of fewer."""
        return [
            Point(method, value, seed, self.config(method, value, seed))
            for seed in self.seeds
            for value in self.values
            for method in self.methods
        ]

    def config(self, method: str, value: float, seed: int) -> TrainConfig:
        """The training at one place of the picture."""
        changes: dict[str, Any] = {self.along: value, "normalization": method, "seed": seed}
        if self.along == "batch_size" and self.held == "updates":
            most = int(LIMITS["train_size"][1])
            changes |= {"train_size": min(most, int(value) * UPDATES), "epochs": 1}
        return replace(self.base, **changes)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sweep:
        """The sweep that `to_dict` wrote."""
        lists = {name: tuple(data[name]) for name in ("values", "methods", "seeds")}
        return cls(**{**data, **lists, "base": TrainConfig.from_dict(data["base"])})


def name_of(config: TrainConfig) -> str:
    """The same text for configs that ask for the same training."""
    return config.only_used().to_json()


# The sweeps that ship with the package.
PLANS: dict[str, Sweep] = {
    "images": Sweep("batch_size", SIZES),
    "updates": Sweep("batch_size", SIZES, held="updates"),
    "paper": Sweep(
        "batch_size",
        PAPER_SIZES,
        ("batch", "layer"),
        base=replace(SMALL, placement="conv and dense", learning_rate=0.1),
    ),
    "rates": Sweep("learning_rate", RATES, seeds=(0, 1)),
    "rates-dense": Sweep(
        "learning_rate", RATES, seeds=(0, 1), base=replace(SMALL, placement="conv and dense")
    ),
}

# What is studied on trained networks: each training batch size with the usual momentum, and each
# momentum with the usual batch size.
TRAINED_SIZES = (4, 16, 64, 256)
MOMENTA = (0.0, 0.5, 0.9, 0.99, 0.999)
MATES_TRAINED_WITH = 16  # images per batch
MATES_SIZES = (2, 8, 32)
PINNED, ONE_CLASS = 712, 1  # the test image that is pinned at first; the class of sorted mates


def small(placement: str) -> TrainConfig:
    """The small training with a learning rate that suits what is normalized.

    A normalized dense layer hardly moves at 0.01; without it 0.1 is too fast (see "rates").
    """
    rate = {"conv": 0.01, "conv and dense": 0.1}[placement]
    return replace(SMALL, placement=placement, learning_rate=rate)


def inference_configs() -> list[TrainConfig]:
    """The trainings behind the recorded comparison of statistics."""
    return [
        replace(small(placement), batch_size=size, momentum=momentum)
        for placement in CHOICES["placement"]
        for size, momentum in (
            *((size, SMALL.momentum) for size in TRAINED_SIZES),
            *((SMALL.batch_size, one) for one in MOMENTA if one != SMALL.momentum),
        )
    ]


def mates_configs(placement: str, seed: int = 0) -> dict[str, TrainConfig]:
    """The four networks that read one pinned digit, by method."""
    base = replace(small(placement), batch_size=MATES_TRAINED_WITH, seed=seed)
    return {method: replace(base, normalization=method) for method in FOUR}


# ---- what came of it -------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One place of a picture: a method at one value, over the seeds.

    mean, low and high of the accuracy (0..1), over the trainings that kept finite numbers; None
    where there is none. done counts the trainings, diverged those that left the finite numbers.
    """

    method: str
    value: float
    mean: float | None
    low: float | None
    high: float | None
    done: int
    diverged: int


def rows(sweep: Sweep, outcomes: Mapping[str, Outcome]) -> list[Row]:
    """The picture of what has come so far, method by method. outcomes: by `name_of` the config."""
    found: dict[tuple[str, float], list[Outcome]] = {}
    for point in sweep.points():
        outcome = outcomes.get(name_of(point.config))
        if outcome is not None and outcome.status in ("finished", "diverged"):
            found.setdefault((point.method, point.value), []).append(outcome)
    picture = []
    for method in sweep.methods:
        for value in sweep.values:
            theirs = found.get((method, value), [])
            if not theirs:
                continue
            right = [one.accuracy for one in theirs if one.accuracy is not None]
            picture.append(
                Row(
                    *(method, value, float(np.mean(right)) if right else None),
                    *((min(right), max(right)) if right else (None, None)),
                    len(theirs),
                    sum(one.status == "diverged" for one in theirs),
                )
            )
    return picture


def by_method(picture: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each method, in the order of its values."""
    grouped: dict[str, list[Row]] = {}
    for row in picture:
        grouped.setdefault(row.method, []).append(row)
    return grouped


# ---- in words --------------------------------------------------------------------------------


def title(method: str) -> str:
    """The method as a sentence names it."""
    words = METHODS[method].title
    return words if words[:3] in ("RMS", "Ten") else words[0].lower() + words[1:]


def size_words(sweep: Sweep, picture: Sequence[Row]) -> str:
    """What batch size does to each method's error, and whether the seeds allow to say so."""
    sentences = []
    for method, theirs in by_method(picture).items():
        kept = [row for row in theirs if row.mean is not None]
        if len(kept) < 2:
            continue
        best, worst = max(kept, key=lambda row: row.mean), min(kept, key=lambda row: row.mean)
        ends = ""
        if kept[0].value not in (best.value, worst.value):
            ends = f" At {kept[0].value:g} it is {_error(kept[0].mean)}."
        sentences.append(
            f"**{METHODS[method].title}:** the error is least at batch size {best.value:g}, "
            f"{_error(best.mean)}, and greatest at {worst.value:g}, {_error(worst.mean)}.{ends}"
        )
    if change := _changes(sweep, picture):
        small, large = min(sweep.values), max(sweep.values)
        worst = min(change, key=change.__getitem__)
        how = "loses" if change[worst] < 0 else "gains least:"
        sentences.append(
            f"From {large:g} images per step down to {small:g}, {title(worst)} {how} "
            + ("most: " if change[worst] < 0 else "")
            + f"{abs(100 * change[worst]):.1f} points of accuracy."
        )
    for value in (min(sweep.values), max(sweep.values)):
        there = [row for row in picture if row.value == value and row.mean is not None]
        if len(there) > 1:
            sentences.append(_comparison(there, f"At batch size {value:g}"))
    return "\n\n".join(sentences)


def _changes(sweep: Sweep, picture: Sequence[Row]) -> dict[str, float]:
    """What the smallest batch adds to the accuracy of the largest, by method."""
    small, large = min(sweep.values), max(sweep.values)
    found = {}
    for method, theirs in by_method(picture).items():
        at = {row.value: row.mean for row in theirs}
        if small != large and None not in (at.get(small), at.get(large)):
            found[method] = at[small] - at[large]
    return found


def held_words(pictures: Mapping[str, tuple[Sweep, Sequence[Row]]]) -> str:
    """Whether the size of the batch or the number of steps decides: equal images against updates.

    pictures: "images" and "updates", each the sweep and its rows.
    """
    better, count = {}, 0
    for held, (sweep, picture) in pictures.items():
        change = _changes(sweep, picture)
        better[held], count = sum(one > 0 for one in change.values()), len(change)
    small, large = (each(pictures["images"][0].values) for each in (min, max))
    text = (
        f"Of {count} methods, {better['images']} do better at {small:g} than at {large:g} with "
        f"equal images, {better['updates']} with equal updates."
    )
    if better["images"] == count and better["updates"] == 0:
        text += (
            " So the number of steps decides: small batches win by taking more of them. Step for "
            "step, more images are better."
        )
    return text


def _comparison(there: Sequence[Row], where: str) -> str:
    """Which method is ahead at one value, and of whom with every seed."""
    best = max(there, key=lambda row: row.mean)
    others = [row for row in there if row is not best]
    beaten = [title(row.method) for row in others if best.low > row.high]
    close = [title(row.method) for row in others if best.low <= row.high]
    text = f"{where} {title(best.method)} has the least error"
    if best.done == 1:
        return f"{text}; with one seed that says little."
    if beaten:
        text += f", less than {_list(beaten)} with every seed"
    if close:
        text += f"{'; but' if beaten else ', but'} its seeds overlap those of {_list(close)}"
    return f"{text}."


@dataclass(frozen=True)
class Usable:
    """The learning rates at which a method comes near its own best accuracy.

    low, high: the least and the greatest of them, in one row with the best rate; None where the
    seeds lie too far apart even there. best: the rate of the highest accuracy; peak: that one.
    """

    method: str
    low: float | None
    high: float | None
    best: float
    peak: float

    @property
    def words(self) -> str:
        """`0.01 to 0.1`, `0.03 only`, or `none`."""
        if self.low is None:
            return "none"
        return f"{self.low:g} only" if self.low == self.high else f"{self.low:g} to {self.high:g}"


def usable(picture: Sequence[Row]) -> dict[str, Usable]:
    """By method: the unbroken row of usable learning rates around its best one.

    Where a seed diverged, or stayed more than `NEAR` below the method's best mean, the rate is
    not usable.
    """
    found = {}
    for method, theirs in by_method(picture).items():
        kept = [row for row in theirs if row.mean is not None]
        if not kept:
            found[method] = Usable(method, None, None, float("nan"), float("nan"))
            continue
        best = max(kept, key=lambda row: row.mean)
        level = best.mean - NEAR
        good = [row.low is not None and row.low >= level and not row.diverged for row in theirs]
        at = theirs.index(best)
        low = high = None
        if good[at]:
            first = last = at
            while first > 0 and good[first - 1]:
                first -= 1
            while last + 1 < len(good) and good[last + 1]:
                last += 1
            low, high = theirs[first].value, theirs[last].value
        found[method] = Usable(method, low, high, best.value, best.mean)
    return found


def rate_words(picture: Sequence[Row]) -> str:
    """Which learning rates each method can use, and whether that or the accuracy differs more."""
    if not any(row.mean is not None for row in picture):
        return "Every training diverged."
    found = usable(picture)
    sentences = [
        f"Usable means here: every seed comes within {100 * NEAR:.0f} points of the method's own "
        "best."
    ]
    for one in found.values():
        best = f"best at {one.best:g}, {one.peak:.1%}" if one.peak == one.peak else "all diverged"
        sentences.append(f"**{METHODS[one.method].title}:** usable {one.words}; {best}.")
    if "none" in found and len(found) > 1:
        sentences.append(_verdict(found))
    return "\n\n".join(sentences)


def _verdict(found: Mapping[str, Usable]) -> str:
    """Against no normalization: where the usable rates begin and end, then the best accuracies."""
    plain = found["none"]
    grouped: dict[str, list[str]] = {}
    for one in found.values():
        if one.method != "none":
            grouped.setdefault(_shift(one, plain), []).append(title(one.method))
    moved = "; ".join(f"with {_list(names)} they {how}" for how, names in grouped.items())
    peaks = {name: one.peak for name, one in found.items() if one.peak == one.peak}
    best = max(peaks, key=peaks.__getitem__)
    gap = 100 * (max(peaks.values()) - min(peaks.values()))
    changed = any(how != "stay the same" for how in grouped)
    what = (
        "So it is the learning rate that normalization changes here"
        if changed and gap < 100 * NEAR / 2
        else "Here the accuracy differs, too"
        if changed
        else "Normalization does not change the usable rates here"
    )
    return (
        f"The usable rates, against no normalization: {moved}. At their own best rates the "
        f"methods lie {gap:.1f} points apart, {title(best)} ahead. {what}."
    )


def _shift(one: Usable, plain: Usable) -> str:
    """How a method's usable rates lie against those without normalization."""
    if one.low is None:
        return "vanish" if plain.low is not None else "stay the same"
    if plain.low is None:
        return "appear"
    ends = [
        f"{verb} {'lower' if mine < theirs else 'higher'}"
        for verb, mine, theirs in (
            ("begin", one.low, plain.low),
            ("end", one.high, plain.high),
        )
        if mine != theirs
    ]
    return " and ".join(ends) or "stay the same"


def _error(accuracy: float) -> str:
    return f"{1 - accuracy:.1%}"


def _list(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


# ---- how far a moving average has come -------------------------------------------------------


def arrived(momentum: float, steps: int | np.ndarray) -> float | np.ndarray:
    """The share of a moving average that is not its start value any more: 1 - m^t."""
    return 1.0 - np.power(float(momentum), steps)


# ---- the layer-norm paper's experiment beside ours -------------------------------------------


def paper_and_ours(sweep: Sweep, images: int) -> list[tuple[str, str, str]]:
    """(what, the layer-norm paper's, ours) for every condition of its batch-size experiment.

    Source: Ba, Kiros and Hinton, 2016, arXiv:1607.06450, section 6.6 and figure 6.
    images: how many the training set holds.
    """
    base = sweep.base
    count = min(base.train_size, images)
    held = (
        "equal updates"
        if sweep.held == "updates"
        else f"{base.epochs} epoch" + "s" * (base.epochs != 1)
    )
    where = {
        "conv": "after the convolution only",
        "conv and dense": "after the convolution and the hidden layer",
    }[base.placement]
    return [
        ("Network", "784–1000–1000–10, dense layers only", f"convolution, {base.hidden_units}–10"),
        ("Normalized", "both hidden layers, not the output", where),
        ("Methods", "batch, layer", ", ".join(map(_short, sweep.methods))),
        ("Batch sizes", "128 and 4", " and ".join(f"{v:g}" for v in reversed(sweep.values))),
        ("Optimizer", "Adam", f"plain SGD, learning rate {base.learning_rate:g}"),
        ("Training images", "55,000", f"{count:,}"),
        ("Trained for", "60 epochs, as drawn", held),
        ("Batch norm's variance at batch 4", "unbiased", "biased, as at every size"),
        ("Batch norm at test time", "not said", f"{base.inference_statistics} statistics"),
        ("Shown", "loss and test error per epoch", "test error at the end"),
        ("Seeds", "not said", f"{len(sweep.seeds)}"),
    ]


def _short(method: str) -> str:
    return METHODS[method].title.lower().removesuffix(" norm").removesuffix(" normalization")


# ---- the recorded sweeps ---------------------------------------------------------------------


@dataclass(frozen=True)
class Recorded:
    """A sweep that ships with the package, and where it comes from."""

    sweep: Sweep
    outcomes: dict[str, Outcome]
    origin: dict[str, Any]


def to_content(sweep: Sweep, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """A sweep as a recording: its settings, and a row for each training."""
    rows = [
        {"method": point.method, "value": point.value, "seed": point.seed}
        | asdict(outcomes[name_of(point.config)])
        for point in sweep.points()
    ]
    return {"sweep": sweep.to_dict(), "results": rows}


def from_content(content: Mapping[str, Any]) -> Recorded:
    """The sweep of a recording."""
    sweep = Sweep.from_dict(content["sweep"])
    outcomes = {}
    for row in content["results"]:
        config = sweep.config(row["method"], row["value"], row["seed"])
        kept = {name: row[name] for name in ("status", "accuracy", "steps", "seconds")}
        outcomes[name_of(config)] = Outcome(**kept)
    return Recorded(sweep, outcomes, content["origin"])


@lru_cache
def recorded(plan: str) -> Recorded:
    """The recorded sweep of `PLANS`; KeyError for another name."""
    PLANS[plan]
    return from_content(recordings.read(f"sweep-{plan}"))


@lru_cache
def recorded_outcomes() -> dict[str, Outcome]:
    """Every recorded training, by `name_of` its config."""
    return {name: one for plan in PLANS for name, one in recorded(plan).outcomes.items()}


def recorded_study(name: str) -> dict[str, Any]:
    """The numbers recorded on trained networks: "inference" or "mates"."""
    return recordings.read(name)
