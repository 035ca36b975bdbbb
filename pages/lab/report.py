"""The report's three tables: as published, the settings behind them, and the reproduction.

A reproduction is plain JSON (`collect` makes it, `recorded` reads the shipped ones):

    {"setting": "as-run" | "as-written", "seeds": [...], "epochs": 4,
     "columns": {"none" | "batch" | "weight" | "layer" | "tf_batch": {
         "loss": [[per epoch] per seed], "accuracy": [per seed], "seconds": [per seed], ...}},
     "versions": {...}, ...}

"loss" is the report's: the sum of the batch means over the number of images. Times the batch size
(64) it is the mean loss. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from normlib.config import METHODS, TrainConfig
from normlib.run import Run
from pages.lab import recorded as recordings

COLUMNS = ("none", "batch", "weight", "layer", "tf_batch")
SETTINGS = {"as-run": "As the report ran it", "as-written": "As its equations say"}
SEEDS, EPOCHS = 3, 4
# From "IST 597: Assignment 01000".
SOURCE = "IST 597, Assignment 01000: batch, weight and layer normalization on MNIST"

# A curve has one point for so many steps; its accuracy is the mean over the last so many batches.
CURVE_EVERY, ACCURACY_WINDOW = 20, 50
LEVELS = (0.90, 0.95)
FIRST_STEPS = 20


@dataclass(frozen=True)
class Published:
    """One column as printed: loss per epoch, test accuracy (0..1), total time in seconds."""

    loss: tuple[float, ...]
    accuracy: float
    seconds: float | None = None


PUBLISHED: dict[str, Published] = {
    "none": Published((0.0087, 0.0043, 0.0034, 0.0029), 0.9461, 698.54),
    "batch": Published((0.0060, 0.0027, 0.0021, 0.0017), 0.9684, 677.64),
    "weight": Published((0.0105, 0.0058, 0.0051, 0.0046), 0.9222, 656.41),
    "layer": Published((0.0060, 0.0028, 0.0021, 0.0017), 0.9641, 693.06),
    "tf_batch": Published((0.0059, 0.0027, 0.0021, 0.0017), 0.9644),
}
# The third table prints the batch column again, with another number for epoch 3.
PUBLISHED_IN_THIRD = Published((0.0060, 0.0027, 0.0020, 0.0017), 0.9684)


def config(column: str, setting: str, seed: int = 0, epochs: int = EPOCHS) -> TrainConfig:
    """The training behind one column of the report.

    "as-run": gamma and beta frozen, the test set normalized by its own statistics, weight norm
    as a constant kernel on the convolution. "as-written": everything trained, moving statistics
    at test time, v and one g per output channel on all three kernels.
    """
    shared = TrainConfig(normalization=column, epsilon=1e-8, seed=seed, epochs=epochs)
    if setting == "as-run":
        return replace(
            shared,
            learn_scale_shift=False,
            inference_statistics="batch",
            weight_norm_start="constant",
        )
    if setting == "as-written":
        return replace(shared, placement="conv and dense") if column == "weight" else shared
    raise ValueError(f"The setting must be one of {', '.join(SETTINGS)}, not {setting!r}.")


def configs(setting: str, seeds: Sequence[int], epochs: int) -> dict[str, list[TrainConfig]]:
    """Every training of a reproduction, by column."""
    return {column: [config(column, setting, seed, epochs) for seed in seeds] for column in COLUMNS}


# ---- from runs to JSON -----------------------------------------------------------------------


def collect(
    setting: str, runs: Mapping[str, Sequence[Run]], milliseconds: Mapping[str, float]
) -> dict[str, Any]:
    """The reproduction that these runs are, one per seed in each column, the same seeds in all.

    milliseconds: what a step of each column costs.
    """
    first = runs[COLUMNS[0]][0]
    return {
        "setting": setting,
        "seeds": [run.config.seed for run in runs[COLUMNS[0]]],
        "epochs": first.config.epochs,
        "columns": {column: _column(runs[column], milliseconds[column]) for column in COLUMNS},
        "curve": {"every": CURVE_EVERY, "accuracy_window": ACCURACY_WINDOW},
        "loss_difference": _thinned(
            np.abs(np.subtract(*_same_length(runs["batch"][0].losses, runs["tf_batch"][0].losses))),
            np.max,
        ),
        "filters": _rounded(filters(runs["weight"][0]), 4),
        "data": {"name": first.data_name, "checksum": first.data_checksum},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": recordings.machine(),
        "versions": dict(first.versions),
    }


def _column(runs: Sequence[Run], milliseconds: float) -> dict[str, Any]:
    accuracies = [run.recorded["batch_accuracies"] for run in runs]
    return {
        "config": asdict(runs[0].config.only_used()),
        "keys": [run.key for run in runs],
        "status": [run.status for run in runs],
        "loss": [[_rounded(epoch.report_loss, 7) for epoch in run.epochs] for run in runs],
        "accuracy": [run.test_accuracy for run in runs],
        "seconds": [_rounded(run.seconds, 2) for run in runs],
        "milliseconds_per_step": _rounded(milliseconds, 3),
        "steps_to": {
            f"{level:.2f}": [steps_to(one, level) for one in accuracies] for level in LEVELS
        },
        "first_losses": first_losses(runs[0]),
        "curve": {
            "loss": [_thinned(run.losses, np.mean) for run in runs],
            "accuracy": [_running(one) for one in accuracies],
        },
    }


def first_losses(run: Run) -> list[float]:
    """The first steps' losses with every digit of float32: what a later run must give again."""
    return [float(f"{loss:.9g}") for loss in run.losses[:FIRST_STEPS]]


def filters(run: Run) -> np.ndarray:
    """The convolution's filters at the end of a run, (30, 5, 5)."""
    weights = run.weights[-1]
    if "conv_kernel/w" in weights:
        w = weights["conv_kernel/w"]
    else:
        v, g = weights["conv_kernel/v"], weights["conv_kernel/g"]
        w = g * v / np.sqrt((v**2).sum(axis=tuple(range(v.ndim - 1))))
    return np.moveaxis(w[:, :, 0, :], -1, 0)


def steps_to(accuracies: Sequence[float], level: float) -> int | None:
    """After how many steps the accuracy on the last 50 batches reaches `level`; None if never."""
    means = _means_of_last(accuracies)
    reached = np.flatnonzero(means >= level)
    return int(reached[0]) + ACCURACY_WINDOW if len(reached) else None


def _means_of_last(values: Sequence[float]) -> np.ndarray:
    """The means over `ACCURACY_WINDOW` values in a row; element i ends with value i + window."""
    sums = np.cumsum([0.0, *values])
    return (sums[ACCURACY_WINDOW:] - sums[:-ACCURACY_WINDOW]) / ACCURACY_WINDOW


def _running(accuracies: Sequence[float]) -> list[float | None]:
    """The accuracy over the last batches at every `CURVE_EVERY`th step, None while too few."""
    means = _means_of_last(accuracies)
    ends = range(CURVE_EVERY, len(accuracies) + 1, CURVE_EVERY)
    return [_rounded(means[e - ACCURACY_WINDOW], 5) if e >= ACCURACY_WINDOW else None for e in ends]


def _thinned(values: Sequence[float], by) -> list[float]:
    """One value for every `CURVE_EVERY` steps: the `by` of all of them, so that none is hidden."""
    whole = np.asarray(values, float)
    parts = whole[: len(whole) // CURVE_EVERY * CURVE_EVERY].reshape(-1, CURVE_EVERY)
    return [float(f"{value:.5g}") for value in by(parts, axis=1)]


def _same_length(a: Sequence[float], b: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    count = min(len(a), len(b))
    return np.array(a[:count]), np.array(b[:count])


def _rounded(value: Any, digits: int) -> Any:
    return np.round(np.asarray(value, float), digits).tolist()


# ---- the recorded results --------------------------------------------------------------------


@lru_cache
def recorded(setting: str) -> dict[str, Any]:
    """The reproduction that ships with the package: three seeds on the full MNIST."""
    if setting not in SETTINGS:
        raise ValueError(f"The setting must be one of {', '.join(SETTINGS)}, not {setting!r}.")
    content = dict(recordings.read(f"report-{setting}"))
    return {**content, **content.pop("origin")}


# ---- the three tables ------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """What one place of a table holds: the published number, and ours, one per seed."""

    kind: str  # "loss", "accuracy" (0..1) or "seconds"
    published: float | None
    values: tuple[float, ...] = ()

    @property
    def mean(self) -> float | None:
        return sum(self.values) / len(self.values) if self.values else None

    @property
    def half_range(self) -> float:
        """Half of the distance between the largest and the smallest seed."""
        return (max(self.values) - min(self.values)) / 2 if self.values else 0.0

    @property
    def difference(self) -> float | None:
        """Ours minus the published one."""
        if self.published is None or self.mean is None:
            return None
        return self.mean - self.published

    def words(self, value: float | None, signed: bool = False) -> str:
        """A number of this kind as the report writes it; a signed one is a difference."""
        if value is None:
            return "–"
        value = round(value, 4 if self.kind != "seconds" else 1) + 0.0  # no minus before a zero
        sign = "+" if signed and value else ""
        if self.kind == "loss":
            text = f"{value:{sign}.4f}"
        elif self.kind == "seconds":
            text = f"{value:{sign}.1f} s"
        else:
            text = f"{100 * value:{sign}.2f}{' points' if signed else '%'}"
        return text.replace("-", "−")

    @property
    def ours(self) -> str:
        """The mean over the seeds and, where there are several, half their range."""
        if self.mean is None or len(self.values) == 1:
            return self.words(self.mean)
        unit = {"loss": "", "accuracy": "%", "seconds": " s"}[self.kind]
        mean, half_range = (
            self.words(value).removesuffix(unit) for value in (self.mean, self.half_range)
        )
        return f"{mean} ±{half_range}{unit}"


@dataclass(frozen=True)
class Table:
    """One of the report's tables; rows are (label, one cell per column)."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def tables(columns: Mapping[str, Mapping[str, Any]], epochs: int = EPOCHS) -> tuple[Table, ...]:
    """The report's three tables with these columns of a reproduction; some may be missing."""
    methods, pair = COLUMNS[:4], ("batch", "tf_batch")

    def losses(names: Iterable[str], published: Mapping[str, Published]) -> list:
        return [
            (
                f"Epoch {epoch + 1}",
                tuple(_loss_cell(columns.get(name), published[name], epoch) for name in names),
            )
            for epoch in range(epochs)
        ]

    def row(label: str, kind: str, names: Iterable[str]) -> tuple[str, tuple[Cell, ...]]:
        cells = [
            Cell(kind, getattr(PUBLISHED[name], kind), _known(columns.get(name, {}).get(kind, ())))
            for name in names
        ]
        return label, tuple(cells)

    accuracy, seconds = ("Test accuracy", "accuracy"), ("Total time", "seconds")
    third = PUBLISHED | {"batch": PUBLISHED_IN_THIRD}
    return (
        Table("Fig 1", "Loss per epoch", methods, tuple(losses(methods, PUBLISHED))),
        Table(
            "Fig 2",
            "Test accuracy and total time",
            methods,
            (row(*accuracy, methods), row(*seconds, methods)),
        ),
        Table(
            "Fig 3",
            "Own batch norm against TensorFlow's",
            pair,
            (*losses(pair, third), row(*accuracy, pair)),
        ),
    )


def _loss_cell(column: Mapping[str, Any] | None, published: Published, epoch: int) -> Cell:
    printed = published.loss[epoch] if epoch < len(published.loss) else None
    seeds = (column or {}).get("loss", ())
    return Cell("loss", printed, tuple(loss[epoch] for loss in seeds if epoch < len(loss)))


def _known(values: Iterable[float | None]) -> tuple[float, ...]:
    return tuple(value for value in values if value is not None)


def markdown(report: Mapping[str, Any]) -> str:
    """The three tables of a reproduction, for a README: ours, then the published and by how much.

    The tables are those of the page; "±" is half the range over the seeds.
    """
    parts = []
    for table in tables(report["columns"], report["epochs"]):
        lines = [f"**{table.name}. {table.title}**", ""]
        titles = [METHODS[name].title for name in table.columns]
        lines.append("| |" + "|".join(f" {title} " for title in titles) + "|")
        lines.append("|---" * (len(titles) + 1) + "|")
        for label, cells in table.rows:
            lines.append(f"| {label} |" + "|".join(f" {_in_words(cell)} " for cell in cells) + "|")
        parts.append("\n".join(lines))
    parts.append(footer(report))
    return "\n\n".join(parts) + "\n"


def footer(report: Mapping[str, Any]) -> str:
    """What the numbers of a reproduction come from, in one line."""
    seeds = ", ".join(map(str, report["seeds"]))
    return (
        f"{SETTINGS[report['setting']]}; {report['data']['name']}, seeds {seeds}; "
        f"normlib {report['versions']['normlib']}, TensorFlow {report['versions']['tensorflow']}; "
        f"{report['machine']}; {report['date']}."
    )


def _in_words(cell: Cell) -> str:
    if cell.difference is None:
        return cell.ours
    published, by = cell.words(cell.published), cell.words(cell.difference, signed=True)
    return f"{cell.ours} ({published}, {by})"


# ---- what the numbers say --------------------------------------------------------------------


@dataclass(frozen=True)
class Gap:
    """How far two methods lie apart, and how far the seeds of one of them do at most.

    difference: mean of the first minus mean of the second. spread: the larger of the two ranges
    over seeds; None with fewer than two seeds, which say nothing about chance.
    """

    difference: float
    spread: float | None

    @property
    def real(self) -> bool:
        """Whether the methods lie further apart than the seeds of either."""
        return self.spread is not None and abs(self.difference) > self.spread


def gap(first: Sequence[float], second: Sequence[float]) -> Gap:
    """The gap between two methods, from one number per seed of each."""
    spread = None
    if min(len(first), len(second)) > 1:
        spread = max(max(values) - min(values) for values in (first, second))
    return Gap(sum(first) / len(first) - sum(second) / len(second), spread)


@dataclass(frozen=True)
class Convergence:
    """What one method costs per step and how soon it gets there; lists have one value per seed.

    steps: level -> steps until the accuracy over the last 50 batches reached it, None if never.
    """

    method: str
    steps: dict[float, list[int | None]]
    accuracy: list[float]
    milliseconds: float

    def mean_steps(self, level: float) -> float | None:
        """The mean over the seeds, None unless all of them got there."""
        steps = self.steps[level]
        return None if None in steps else sum(steps) / len(steps)


def convergence(report: Mapping[str, Any], methods: Iterable[str]) -> list[Convergence]:
    """Speed, accuracy and cost of these columns of a reproduction."""
    return [
        Convergence(
            method,
            {level: report["columns"][method]["steps_to"][f"{level:.2f}"] for level in LEVELS},
            report["columns"][method]["accuracy"],
            report["columns"][method]["milliseconds_per_step"],
        )
        for method in methods
    ]


def speed_words(one: Convergence, other: Convergence, level: float) -> str:
    """Which of two methods reaches the level sooner, and whether the seeds allow to say so."""
    a, b = (_name(each.method) for each in (one, other))
    mine, theirs = one.mean_steps(level), other.mean_steps(level)
    if mine is None or theirs is None:
        if mine is None and theirs is None:
            return f"To {level:.0%}: neither {a} nor {b} gets there with every seed."
        there, not_there = (b, a) if mine is None else (a, b)
        return f"To {level:.0%}: only {there} gets there with every seed, not {not_there}."
    between = gap(one.steps[level], other.steps[level])
    numbers = f"{mine:,.0f} steps with {a}, {theirs:,.0f} with {b}"
    if not between.real:
        return f"To {level:.0%}: {numbers}. Within chance: {_not_real(between, '{:,.0f} steps')}."
    ratio = max(mine, theirs) / min(mine, theirs)
    return (
        f"To {level:.0%}: {numbers}. {_name(one.method if mine < theirs else other.method, True)} "
        f"is faster by a factor of {ratio:.1f}; seeds differ by {between.spread:,.0f} steps."
    )


def accuracy_words(one: Convergence, other: Convergence) -> str:
    """Which of two methods ends up more accurate, and whether the seeds allow to say so."""
    between = gap(
        [100 * value for value in one.accuracy], [100 * value for value in other.accuracy]
    )
    points = f"{abs(between.difference):.2f} points"
    if not between.real:
        return (
            f"Test accuracy: {points} between {_name(one.method)} and {_name(other.method)}. "
            f"Within chance: {_not_real(between, '{:.2f} points')}."
        )
    better, worse = (one, other) if between.difference > 0 else (other, one)
    return (
        f"Test accuracy: {_name(better.method)} ends {points} above {_name(worse.method)}; "
        f"seeds differ by {between.spread:.2f}."
    )


def cost_words(one: Convergence, without: Convergence) -> str:
    """What a step costs with a method and without any."""
    mine, theirs = one.milliseconds, without.milliseconds
    return (
        f"A step costs {mine:.1f} ms with {_name(one.method)} and {theirs:.1f} ms without: "
        f"{mine / theirs:.1f} times as much."
    )


def _name(method: str, first: bool = False) -> str:
    """A method's title within a sentence, or at the start of one."""
    title = METHODS[method].title
    return title if first or title.startswith("TensorFlow") else title[0].lower() + title[1:]


def _not_real(between: Gap, words: str) -> str:
    if between.spread is None:
        return "one seed says nothing about chance"
    return f"seeds alone differ by {words.format(between.spread)}"
