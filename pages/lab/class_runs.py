"""One experiment by a whole class: its trainings as points of one picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pages.lab.store import RunSummary


class Point(NamedTuple):
    """A training that is over. accuracy: on the test images (0..1); None where it diverged."""

    method: str
    rate: float
    batch: int
    seed: int
    accuracy: float | None


def points(runs: Iterable[RunSummary | None]) -> list[Point]:
    """The trainings that came to an end, in their order; those stopped or under way are none."""
    return [
        Point(
            *(run.config.normalization, run.config.learning_rate, run.config.batch_size),
            run.config.seed,
            run.test_accuracy if run.status == "finished" else None,
        )
        for run in runs
        if run is not None and run.status in ("finished", "diverged")
    ]


def best(found: Sequence[Point]) -> Point | None:
    """The one that reads most; None where all diverged."""
    learned = [point for point in found if point.accuracy is not None]
    return max(learned, key=lambda point: point.accuracy or 0.0, default=None)


def as_csv(found: Sequence[Point]) -> str:
    """A line per training; without an accuracy where it diverged."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "learning rate", "batch size", "seed", "test accuracy"])
    writer.writerows(found)
    return text.getvalue()
