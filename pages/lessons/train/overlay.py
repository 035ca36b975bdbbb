"""Earlier runs laid over the one on screen: which there are, and how their curves are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from normlib.config import TrainConfig
from normlib.run import Run
from pages.components import server, trainings
from pages.lab import run_names, words
from pages.lab.experiment import ENDED, Experiment

if TYPE_CHECKING:
    from pages.lab.store import RunSummary

MOST = 3
OFFERED = 60


def choose(shown: Experiment) -> list[Run]:
    """Offer the runs that this server keeps, to lay over the one shown; returns the chosen."""
    options = {
        summary.key: label(summary, shown.config)
        for summary in server.experiments().earlier(OFFERED, server.data().checksum)
        if summary.key != shown.key and summary.status in ENDED and summary.steps
    }
    if not options:
        return []
    keys = trainings.choose(
        "over",
        "Overlay earlier runs",
        options,
        several=MOST,
        help=f"At most {MOST}. The name says what differs from the run on screen.",
    )
    found = [trainings.at(key) for key in keys]
    return [one.run for one in found if one is not None and one.run is not None]


def label(summary: RunSummary, shown: TrainConfig) -> str:
    right = summary.test_accuracy
    parts = [run_names.describe(summary.config, shown)]
    parts.append(summary.status if right is None else words.percent(right))
    if summary.data_checksum != server.data().checksum:
        parts.append(summary.data_name)
    return " · ".join(parts)


def names(configs: Sequence[TrainConfig]) -> list[str]:
    """The name of each curve: its method where that is enough, else what differs from the first."""
    named: list[str] = []
    for config in configs:
        described = run_names.describe(config, configs[0])
        method = config.normalization
        plain = described == words.title(method) and method not in named
        name = method if plain else described
        while name in named:
            name += " (again)"
        named.append(name)
    return named
