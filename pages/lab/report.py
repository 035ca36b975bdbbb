"""The report: what it published, the settings behind it, and what a reproduction says of it.

A reproduction is plain JSON (`pages.lab.reproduce` makes one, `recorded` reads the shipped ones):

    {"setting": "as-run" | "as-written", "seeds": [...], "epochs": 4,
     "columns": {"none" | "batch" | "weight" | "layer" | "tf_batch": {
         "loss": [[per epoch] per seed], "accuracy": [per seed], "seconds": [per seed], ...}},
     "versions": {...}, ...}

"loss" is the report's: the sum of the batch means over the number of images. Times the batch size
(64) it is the mean loss. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from normlib.config import TrainConfig
from pages.lab import recorded as recordings
from pages.lab.verdict import Verdict, verdict
from pages.lab.words import minus, percent, points, seconds, title

COLUMNS = ("none", "batch", "weight", "layer", "tf_batch")
METHODS = COLUMNS[:4]
SETTINGS = {"as-run": "As the report ran it", "as-written": "As its equations say"}
SEEDS, EPOCHS = 3, 4

# A curve has one point for so many steps; its accuracy is the mean over the last so many batches.
CURVE_EVERY, ACCURACY_WINDOW = 20, 50
LEVELS = (0.90, 0.95)
SHOWN_FROM = 0.8  # accuracies below are over in a moment
# Percentage points of test accuracy that count as none: the standard error of 10,000 test images.
MARGIN_POINTS = 0.2

# Who reads "the report" on a page finds here what it is.
ABOUT = (
    "“The report” is a published solution of Assignment 01000 of the course IST 597 (fall 2019): "
    "batch, weight and layer norm from basic TensorFlow ops, compared on MNIST."
)

Column = Mapping[str, Any]  # of a reproduction


class Published(NamedTuple):
    """One column as printed: loss per epoch, test accuracy (0..1), total time in seconds."""

    loss: tuple[float, ...]
    accuracy: float
    seconds: float | None = None


# From "IST 597: Assignment 01000".
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
    _check(setting)
    shared = TrainConfig(normalization=column, epsilon=1e-8, seed=seed, epochs=epochs)
    if setting == "as-run":
        return replace(
            shared,
            learn_scale_shift=False,
            inference_statistics="batch",
            weight_norm_start="constant",
        )
    return replace(shared, placement="conv and dense") if column == "weight" else shared


@lru_cache
def recorded(setting: str) -> dict[str, Any]:
    """The reproduction that ships with the lab: three seeds on the full MNIST."""
    _check(setting)
    content = dict(recordings.read(f"report-{setting}"))
    return {**content, **content.pop("origin")}


def _check(setting: str) -> None:
    if setting not in SETTINGS:
        raise ValueError(f"The setting must be one of {', '.join(SETTINGS)}, not {setting!r}.")


# ---- the three tables ------------------------------------------------------------------------


class Cell(NamedTuple):
    """What one place of a table says; "–" where there is no number.

    ours: the mean over the seeds and, where there are several, half of their range.
    off: ours minus the published number.
    """

    printed: str
    ours: str
    off: str


def cell(kind: str, published: float | None, values: Sequence[float]) -> Cell:
    """kind: "loss", "accuracy" (0..1) or "seconds". values: ours, one per seed."""
    scale, digits, unit = {"loss": (1, 4, ""), "accuracy": (100, 2, "%"), "seconds": (1, 1, " s")}[
        kind
    ]

    def text(value: float, sign: str = "") -> str:
        value = round(value, 1 if kind == "seconds" else 4) + 0.0  # no minus before a zero
        return minus(f"{scale * value:{sign if value else ''}.{digits}f}")

    printed, ours, off = "–" if published is None else text(published) + unit, "–", "–"
    if values:
        mean, half_range = sum(values) / len(values), (max(values) - min(values)) / 2
        ours = text(mean) + f" ±{text(half_range)}" * (len(values) > 1) + unit
        if published is not None:
            off = text(mean - published, "+") + (" points" if kind == "accuracy" else unit)
    return Cell(printed, ours, off)


class Table(NamedTuple):
    """One of the report's tables; rows are (label, one cell per column)."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, list[Cell]]]


def tables(columns: Mapping[str, Column], epochs: int = EPOCHS) -> list[Table]:
    """The report's three tables with these columns of a reproduction; some may be missing."""
    losses = [(f"Epoch {epoch + 1}", "loss", epoch) for epoch in range(epochs)]
    accuracy, seconds = ("Test accuracy", "accuracy", 0), ("Total time", "seconds", 0)
    pair, printed = ("batch", "tf_batch"), PUBLISHED | {"batch": PUBLISHED_IN_THIRD}
    found = []
    for name, heading, methods, rows, published in (
        ("Fig 1", "Loss per epoch", METHODS, losses, PUBLISHED),
        ("Fig 2", "Test accuracy and total time", METHODS, [accuracy, seconds], PUBLISHED),
        ("Fig 3", "Own batch norm against TensorFlow's", pair, [*losses, accuracy], printed),
    ):
        cells = [
            (label, [_cell(kind, at, published[one], columns.get(one, {})) for one in methods])
            for label, kind, at in rows
        ]
        found.append(Table(name, heading, methods, cells))
    return found


def _cell(kind: str, epoch: int, published: Published, column: Column) -> Cell:
    printed, ours = getattr(published, kind), column.get(kind, ())
    if kind == "loss":
        printed = printed[epoch] if epoch < len(printed) else None
        ours = [losses[epoch] for losses in ours if epoch < len(losses)]
    return cell(kind, printed, [value for value in ours if value is not None])


def table_rows(table: Table, own: Table) -> list[dict[str, str]]:
    """A table with a row for each of its cells, as text, under a row that names theirs.

    own: this machine's, shown where it has any.
    """
    names = ["Method", "Published", "Recorded", "Difference"]
    if any(cell.ours != "–" for _, cells in own.rows for cell in cells):
        names += ["This machine", "Its difference"]
    rows = []
    for (label, cells), (_, mine) in zip(table.rows, own.rows, strict=True):
        rows.append([f"**{label}**"] + [""] * (len(names) - 1))
        for method, cell, live in zip(table.columns, cells, mine, strict=True):
            rows.append([title(method), *cell, live.ours, live.off][: len(names)])
    return [dict(zip(names, row, strict=True)) for row in rows]


def furthest(reproduction: Mapping[str, Any], own: Mapping[str, Column]) -> float:
    """How far the losses of these columns, one seed each, lie from its first seed's at most."""
    pairs = (
        zip(column["loss"][0], reproduction["columns"][name]["loss"][0], strict=False)
        for name, column in own.items()
    )
    return max((abs(mine - theirs) for pair in pairs for mine, theirs in pair), default=0.0)


def footer(reproduction: Mapping[str, Any]) -> str:
    """What the numbers of a reproduction come from, in one line."""
    seeds = ", ".join(map(str, reproduction["seeds"]))
    versions = reproduction["versions"]
    return (
        f"{SETTINGS[reproduction['setting']]}; {reproduction['data']['name']}, seeds {seeds}; "
        f"normlib {versions['normlib']}, TensorFlow {versions['tensorflow']}; "
        f"{reproduction['machine']}; {reproduction['date']}."
    )


def unit_words() -> str:
    """The report's unit of loss, in the unit of all other pages."""
    loss = PUBLISHED["none"].loss[-1]
    return (
        "Loss is the report's: the sum of the batch means over the number of images. Times 64, the "
        "batch size, it is the mean cross-entropy per image of the other pages: "
        f"{loss:.4f} is {64 * loss:.2f}."
    )


def cost(setting: str, seed: int) -> str:
    """What training all columns here asks of a machine, by what it took where it was recorded."""
    took = sum(column["seconds"][seed] for column in recorded(setting)["columns"].values())
    return (
        f"Five trainings with seed {seed}: {seconds(took)} of "
        "training where they were recorded. The whole room shares this machine: other trainings "
        "wait for their turn meanwhile. You may leave the page."
    )


def caption(
    reproduction: Mapping[str, Any],
    more: str = "",
    *,
    seeds: int | None = None,
    setting: bool = True,
) -> str:
    """What a picture of a reproduction is of. seeds: how many it shows, all if None."""
    shown = reproduction["seeds"][:seeds]
    parts = [
        f"Recorded: {reproduction['data']['name']}",
        f"seed{'s' * (len(shown) > 1)} {', '.join(map(str, shown))}",
        f"{reproduction['epochs']} epochs",
        SETTINGS[reproduction["setting"]].lower() if setting else "",
        more,
    ]
    return " · ".join(filter(None, parts))


# ---- what the numbers say: pairs of trainings with the same seed -----------------------------


def column(reproduction: Mapping[str, Any], method: str) -> Column:
    """One column of a reproduction, with its "method"."""
    return {"method": method, **reproduction["columns"][method]}


def mean_accuracy(column: Column) -> float:
    """The test accuracy, averaged over the seeds."""
    return float(np.mean(column["accuracy"]))


def accuracy_verdict(first: Column, second: Column) -> Verdict:
    """Two columns of the same seeds by their test accuracy, in percentage points."""
    own, other = ([100 * share for share in column["accuracy"]] for column in (first, second))
    return verdict(own, other, MARGIN_POINTS)


def change(method: str) -> Verdict:
    """What the equations change of a method's test accuracy: as written minus as run."""
    written, run = (recorded(setting)["columns"][method] for setting in ("as-written", "as-run"))
    return accuracy_verdict(written, run)


def change_row(method: str) -> dict[str, str]:
    """A method's mean accuracy in both settings, what the equations change, in how many pairs."""
    means = {
        name: percent(mean_accuracy(column(recorded(setting), method)), 2)
        for setting, name in SETTINGS.items()
    }
    found = change(method)
    told = {"Change": points(found.mean), "Pairs": found.settled}
    return {"Method": title(method)} | means | told


class Race(NamedTuple):
    """How soon two columns reach a level of accuracy: the first's mean steps, the second's.

    None where not every seed gets there, and then there is no verdict. The verdict is on the
    logarithms of the steps, so it is one on the factor between them: how many times as many steps
    the slower one takes, as the geometric mean of the pairs.
    """

    first: float | None
    second: float | None
    verdict: Verdict | None = None
    factor: float = math.nan


def race(first: Column, second: Column, level: float) -> Race:
    """Two columns of the same seeds by the steps that they take to this accuracy."""
    own, other = mean_steps(first, level), mean_steps(second, level)
    if own is None or other is None:
        return Race(own, other)
    logs = (np.log(column["steps_to"][f"{level:.2f}"]).tolist() for column in (first, second))
    found = verdict(*logs)
    return Race(own, other, found, math.exp(abs(found.mean)))


def mean_steps(column: Column, level: float) -> float | None:
    """The steps to this accuracy, averaged over the seeds; None unless all of them got there."""
    steps = column["steps_to"][f"{level:.2f}"]
    return None if None in steps else float(np.mean(steps))


# ---- rows of charts --------------------------------------------------------------------------


def accuracy_dots(reproduction: Mapping[str, Any]) -> list[dict[str, Any]]:
    """label, series, value: the test accuracy as published, and that of each seed."""
    return [
        {"label": title(method), "series": series, "value": value}
        for method in METHODS
        for series, values in (
            ("Published", [PUBLISHED[method].accuracy]),
            ("Trained again, each seed", reproduction["columns"][method]["accuracy"]),
        )
        for value in values
    ]


def accuracy_rows(reproduction: Mapping[str, Any], methods: Iterable[str]) -> list[dict[str, Any]]:
    """method, step, accuracy, low, high, where every seed of the method is above `SHOWN_FROM`."""
    rows = []
    for method in methods:
        seeds = reproduction["columns"][method]["curve"]["accuracy"]
        for step, values in at_steps(reproduction, zip(*seeds, strict=True)):
            if None not in values and min(values) >= SHOWN_FROM:
                rows.append({"method": method, "step": step, **_range("accuracy", values)})
    return rows


def at_steps(reproduction: Mapping[str, Any], points: Iterable[Any]) -> list[tuple[int, Any]]:
    """The points of a curve, each with its step."""
    every = reproduction["curve"]["every"]
    return [(every * index, point) for index, point in enumerate(points, start=1)]


def _range(name: str, values: Sequence[float]) -> dict[str, float]:
    return {name: float(np.mean(values)), "low": min(values), "high": max(values)}


# ---- weight norm's filters -------------------------------------------------------------------


def kernel(reproduction: Mapping[str, Any]) -> np.ndarray:
    """The filters of the weight-norm column as a kernel, (5, 5, 1, 30)."""
    return np.moveaxis(np.array(reproduction["filters"]), 0, -1)[:, :, None, :]


def distinct(kernel: np.ndarray) -> int:
    """How many of the filters differ."""
    return len(np.unique(kernel.reshape(-1, kernel.shape[-1]).T, axis=0))


def moved(kernel: np.ndarray) -> float:
    """How far a weight is at most from 1/√size, where the report's kernel began."""
    return float(np.abs(kernel - kernel.size**-0.5).max())
