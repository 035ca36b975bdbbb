"""The same training by each of the four methods, to compare a look at one with the others."""

from __future__ import annotations

from dataclasses import replace

from normlib.config import TrainConfig
from normlib.run import Run
from pages.components import controls, trainings
from pages.lab import words
from pages.lab.experiment import LIVE


def four(config: TrainConfig) -> list[TrainConfig]:
    """The training by each of the four methods."""
    return [replace(config, normalization=method) for method in controls.FOUR_METHODS]


def runs(run: Run) -> dict[str, Run]:
    """The runs of the four methods with these settings, as far as they are there."""
    found = {}
    for config in (run.config, *four(run.config)):
        experiment = trainings.find(config)
        if experiment is not None and experiment.run is not None:
            found[config.normalization] = experiment.run
    order = dict.fromkeys([*controls.FOUR_METHODS, run.config.normalization])
    return {method: found[method] for method in order if method in found}


def offer(run: Run) -> None:
    """Train the methods that are missing in the picture; how far they are."""
    asked = {config.normalization: trainings.find(config) for config in four(run.config)}
    live = {m: one for m, one in asked.items() if one is not None and one.status in LIVE}
    if live:
        named = [(words.title(method), one) for method, one in live.items()]
        trainings.follow(
            list(live.values()), lambda: trainings.progress_of_all(named), "others_live"
        )
    missing = [
        words.in_sentence(method)
        for method, one in asked.items()
        if method not in live and (one is None or one.run is None)
    ]
    if missing:
        trainings.button(
            f"Train {', '.join(missing)} too", "others", icon=":material/playlist_add:"
        )
