"""The report's tables made anew: every column trained with every seed, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import numpy as np

from normlib.digits import draw_digits
from normlib.mnist import Dataset
from normlib.run import Event, Progress, Run
from pages.lab import recorded, report
from pages.lab.report import ACCURACY_WINDOW, COLUMNS, CURVE_EVERY, LEVELS
from pages.lab.store import Store
from pages.lab.train_all import train_all
from pages.lab.words import title

FIRST_STEPS = 20
_CHECK_IMAGES = 1_280
_TIMED_TURNS, _TIMED_IMAGES, _TIMED_STEPS = 3, 3_200, 10


def reproduce(
    setting: str, seeds: Sequence[int], epochs: int, data: Dataset, store: Store | None = None
) -> dict[str, Any]:
    """Train every column with every seed, or take it from the store; returns the reproduction.

    RuntimeError if one fails.
    """
    # Seed by seed, so that an interrupted reproduction has whole tables of fewer seeds.
    configs = [report.config(column, setting, seed, epochs) for seed in seeds for column in COLUMNS]
    # The one whose filters are shown; no other has to keep its weights.
    with_filters = report.config("weight", setting, seeds[0], epochs)
    found = train_all(
        configs, data, store, lambda run: run, [with_filters], "{0.normalization} {0.seed}".format
    )
    runs = {column: found[index :: len(COLUMNS)] for index, column in enumerate(COLUMNS)}
    result = collect(setting, runs, step_milliseconds(setting, data))
    result["machine"] += f", {min(recorded.cores(), len(configs))} trainings at a time"
    result["drawn_digits_losses"] = drawn_digits_losses(setting)
    return result


def step_milliseconds(setting: str, data: Dataset) -> dict[str, float]:
    """What a training step of each column costs, trained alone.

    It is that of the fastest call of some 50 steps, since whatever else the machine does can only
    make a call slower.
    """
    from normlib.training import train

    fastest = dict.fromkeys(COLUMNS, float("inf"))
    # In turns, so that what slows the machine for a while slows every column.
    for column in COLUMNS * _TIMED_TURNS:
        config = replace(report.config(column, setting, epochs=2), train_size=_TIMED_IMAGES)
        events: list[Event] = []
        train(config, data, events.append)
        calls = [event for event in events if isinstance(event, Progress)]
        for before, after in pairwise(calls):
            if len(after.losses) >= _TIMED_STEPS:
                spent = 1000 * (after.seconds - before.seconds) / len(after.losses)
                fastest[column] = min(fastest[column], spent)
    return fastest


def drawn_digits_losses(setting: str) -> dict[str, list[float]]:
    """The first losses of every column on drawn digits: a check that needs no download."""
    from normlib.training import train

    images, labels = draw_digits(_CHECK_IMAGES + 256, seed=0)
    cuts = (slice(_CHECK_IMAGES), slice(-256, -128), slice(-128, None))
    parts = (*(images[cut] for cut in cuts), *(labels[cut] for cut in cuts))
    data = Dataset("drawn digits", "drawn by normlib", (), "drawn for a check", *parts)
    configs = (report.config(column, setting, epochs=1) for column in COLUMNS)
    runs = [train(replace(config, train_size=_CHECK_IMAGES), data) for config in configs]
    return {column: first_losses(run) for column, run in zip(COLUMNS, runs, strict=True)}


# ---- from runs to JSON -----------------------------------------------------------------------


def collect(
    setting: str, runs: Mapping[str, Sequence[Run]], milliseconds: Mapping[str, float]
) -> dict[str, Any]:
    """The reproduction that these runs are, one per seed in each column, the same seeds in all.

    milliseconds: what a step of each column costs. The first run of "weight" has its weights.
    """
    first = runs[COLUMNS[0]][0]
    pairs = zip(runs["batch"][0].losses, runs["tf_batch"][0].losses, strict=False)
    return {
        "setting": setting,
        "seeds": [run.config.seed for run in runs[COLUMNS[0]]],
        "epochs": first.config.epochs,
        "columns": {column: _column(runs[column], milliseconds[column]) for column in COLUMNS},
        "curve": {"every": CURVE_EVERY, "accuracy_window": ACCURACY_WINDOW},
        "loss_difference": _thinned([abs(own - library) for own, library in pairs], np.max),
        "filters": _rounded(filters(runs["weight"][0]), 4),
        **recorded.origin(first.data_name, first.data_checksum, first.versions),
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
    """The convolution's filters at the end of a run, (30, 5, 5). ValueError without weights."""
    from pages.lab import inference

    kernel = inference.network(run).conv_kernel().numpy()
    return np.moveaxis(kernel[:, :, 0, :], -1, 0)


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


def _thinned(values: Sequence[float] | np.ndarray, by: Callable[..., Any]) -> list[float]:
    """One value for every `CURVE_EVERY` steps: the `by` of all of them, so that none is hidden."""
    whole = np.asarray(values, float)
    parts = whole[: len(whole) // CURVE_EVERY * CURVE_EVERY].reshape(-1, CURVE_EVERY)
    return [float(f"{value:.5g}") for value in by(parts, axis=1)]


def _rounded(value: Any, digits: int) -> Any:
    return np.round(np.asarray(value, float), digits).tolist()


# ---- in text ---------------------------------------------------------------------------------


def text(reproduction: Mapping[str, Any]) -> str:
    """The three tables for a terminal: ours, below it the published and the difference."""

    def row(label: str, cells: Iterable[str]) -> str:
        return f"{label:14}" + "".join(f"{cell:>24}" for cell in cells)

    parts = []
    for table in report.tables(reproduction["columns"], reproduction["epochs"]):
        lines = [f"{table.name}. {table.title}", row("", map(title, table.columns))]
        for label, cells in table.rows:
            lines.append(row(label, (cell.ours for cell in cells)))
            lines.append(row("  published", (" ".join(_beside(cell)) for cell in cells)))
        parts.append("\n".join(lines))
    return "\n" + "\n\n".join([*parts, report.footer(reproduction)])


def markdown(reproduction: Mapping[str, Any]) -> str:
    """The three tables for a README: ours, then the published and by how much.

    "±" is half the range over the seeds.
    """
    parts = []
    for table in report.tables(reproduction["columns"], reproduction["epochs"]):
        titles = "|".join(f" {title(name)} " for name in table.columns)
        rule = "|---" * (len(table.columns) + 1)
        lines = [f"**{table.name}. {table.title}**", "", f"| |{titles}|", f"{rule}|"]
        for label, cells in table.rows:
            words = (
                f"{cell.ours} ({', '.join(_beside(cell))})" if _beside(cell) else cell.ours
                for cell in cells
            )
            lines.append(f"| {label} |{'|'.join(f' {one} ' for one in words)}|")
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, report.footer(reproduction)]) + "\n"


def _beside(cell: report.Cell) -> list[str]:
    """The published number and how far ours is from it; nothing where one is missing."""
    return [] if cell.off == "–" else [cell.printed, cell.off]
