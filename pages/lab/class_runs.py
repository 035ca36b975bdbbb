"""One experiment by a whole class: its trainings as points of one picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

from normlib.config import METHODS, TrainConfig
from pages.lab.store import RunSummary
from pages.lab.verdict import Verdict, verdict


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


class Pairs(NamedTuple):
    """Two methods trained with the same seeds and otherwise one setting.

    accuracies: of each method by seed, 0..1. verdict: on the second's minus the first's, in points.
    """

    setting: TrainConfig
    accuracies: dict[str, dict[int, float]]
    verdict: Verdict


def pairs(runs: Iterable[RunSummary | None]) -> Pairs | None:
    """The setting and the two methods that share the most seeds; None where none share two."""
    settings: dict[TrainConfig, dict[str, dict[int, float]]] = {}
    for run in runs:
        if run is not None and run.status == "finished" and run.test_accuracy is not None:
            config = run.config
            methods = settings.setdefault(replace(config, normalization="none", seed=0), {})
            methods.setdefault(config.normalization, {})[config.seed] = run.test_accuracy
    found = [
        (len(shared), setting, (first, second), sorted(shared))
        for setting, methods in settings.items()
        for first, second in combinations(sorted(methods, key=list(METHODS).index), 2)
        if len(shared := methods[first].keys() & methods[second].keys()) > 1
    ]
    if not found:
        return None
    _, setting, both, seeds = max(found, key=lambda one: one[0])
    right = {one: {seed: settings[setting][one][seed] for seed in seeds} for one in both}
    first, second = ([100 * value for value in one.values()] for one in right.values())
    return Pairs(setting, right, verdict(second, first))


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
