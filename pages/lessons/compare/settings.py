"""What is set once, under the picture: the seeds, the rest of a training, two presets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from normlib.config import TrainConfig, reads
from pages.components import controls, page
from pages.lab import recorded, report, words


def more(methods: Sequence[str]) -> None:
    """What is set once: the seeds, the rest of a training, and all of it at once."""
    read = [
        name
        for name in page.TRAINING
        if any(reads(method, controls.CONTROLS[name].config_field) for method in methods)
    ]
    rest = [name for name in ("seeds", *read) if name not in ("lr", "placement")]
    with page.control_box("more"):
        for at in range(0, len(rest), 4):
            for name, column in zip(rest[at : at + 4], st.columns(4), strict=False):
                controls.control(name, column)
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
