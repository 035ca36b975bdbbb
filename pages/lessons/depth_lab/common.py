"""What the lessons that train a deep network share: its settings, and asking for the training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streamlit.delta_generator import DeltaGenerator

from normlib.config import TrainConfig
from pages.components import controls, trainings
from pages.lab import depth, words
from pages.lab.experiment import LIVE, Experiment


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
    if trainings.wished("train_deep"):
        trainings.submit(wanted.values())
    found = {method: trainings.find(config) for method, config in wanted.items()}
    missing = [m for m, one in found.items() if one is None or not (one.run or one.status in LIVE)]
    live = any(one is not None and one.status in LIVE for one in found.values())
    with place:
        trainings.button(
            f"Train {words.count(len(missing), 'method')}"
            if missing
            else ("Training" if live else "Trained"),
            "train_deep",
            icon=":material/play_arrow:" if missing else None,
            type="primary",
            disabled=not missing,
            width="stretch",
        )
    return {method: one for method, one in found.items() if one is not None}
