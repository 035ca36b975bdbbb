"""What the lessons that train a deep network share: its settings, and asking for the training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streamlit.delta_generator import DeltaGenerator

from normlib.config import TrainConfig
from pages.components import controls, trainings
from pages.lab import depth
from pages.lab.experiment import Experiment


def configs(methods: Iterable[str]) -> dict[str, TrainConfig]:
    """The training of each method at the settings of this page; a dense layer has no positions,
    and so no instance norm."""
    get = controls.get
    return {
        method: depth.config(
            *(method, get("depth"), get("sigma"), get("lr"), get("seed")), residual=get("residual")
        )
        for method in methods
        if method != "instance"
    }


def ask(wanted: Mapping[str, TrainConfig], place: DeltaGenerator) -> dict[str, Experiment]:
    """A button for the trainings that are missing, and those that there are."""
    found, _ = trainings.ask_for_missing(wanted, place, "train_deep")
    return found
