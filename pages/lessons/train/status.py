"""How long a training is, where it stands, and what its numbers are worth."""

from __future__ import annotations

from normlib.config import TrainConfig
from pages.components import server, trainings
from pages.lab.experiment import FINAL, LIVE, Experiment

SAME = (
    "The same settings give the same numbers, with any number of cores; another kind of processor "
    "may round the last bits otherwise, and after many steps that shows in a digit."
)


def own(config: TrainConfig, experiment: Experiment | None) -> Experiment | None:
    """The experiment, where it is the one of these settings."""
    key = trainings.key_of(config, server.data().checksum)
    return experiment if experiment is not None and experiment.key == key else None


def told(config: TrainConfig, experiment: Experiment | None) -> str:
    """How long this training is, and what its numbers are worth."""
    images = min(config.train_size, len(server.data().train_labels))
    steps = -(-images // config.batch_size) * config.epochs
    length = f"{steps:,} steps, {images * config.epochs:,} images in all; guessing: a loss of 2.30."
    mine = own(config, experiment)
    return length if mine is None else f"{length} {state_of(mine, trainings.watches(mine))}"


def state_of(experiment: Experiment, watched: bool) -> str:
    if experiment.status in LIVE and not watched:
        return "It trains for somebody else. Press Train, and it goes on for you too."
    if experiment.status not in FINAL:
        return ""
    if experiment.recorded:
        return f"Recorded: {experiment.recorded}. Press Train to run it here, live. {SAME}"
    return f"Done. {SAME}"
