"""What is set once, under the picture: the seeds, the rest of a training, two presets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from normlib.config import TrainConfig
from pages.components import controls, page, trainings
from pages.lab import recorded, report, words


def more(methods: Sequence[str]) -> None:
    """What is set once: the seeds, the rest of a training, and all of it at once."""
    trainings.more_controls(methods, ("lr", "placement"), "seeds")
    preset("The lab's own settings", recorded.configs()[0])
    preset("The report's settings", report.config("batch", "as-run"))


def preset(label: str, config: TrainConfig) -> None:
    """A button that sets every control of a training, and what it would change now."""
    new = {
        name: value
        for name in page.TRAINING
        if (value := getattr(config, controls.CONTROLS[name].config_field)) != controls.get(name)
    }
    told = [
        f"{controls.CONTROLS[name].label.lower()} {controls.CONTROLS[name].words(value)}"
        for name, value in new.items()
    ]
    left, right = st.columns([1, 3], vertical_alignment="center")
    left.button(label, on_click=put_all, args=(new,), disabled=not new, width="stretch")
    right.caption(words.minus(f"Changes to {', '.join(told)}." if told else "Set as they are now."))


def put_all(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        controls.put(name, value)
