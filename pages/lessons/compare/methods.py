"""The normalizations themselves, side by side."""

from __future__ import annotations

import streamlit as st

from normlib.config import CHOICES, TrainConfig
from pages.components import controls
from pages.lessons.compare import side_by_side

QUESTION = (
    "All start from the same weights and see the same batches. Which loss falls fastest, and "
    "which method reads the most test digits correctly?"
)
WAITS = True  # controls first
OFFERED = tuple(method for method in CHOICES["normalization"] if method != "tf_batch")
MOST = 4


def show() -> None:
    side_by_side.show(draw_choice, wanted)


def draw_choice() -> tuple[str, ...]:
    controls.control("methods", choices=OFFERED)
    return controls.get("methods")


def wanted() -> dict[str, TrainConfig]:
    """Series -> its training."""
    methods = controls.get("methods")
    if not methods:
        st.info("Choose at least one method.", icon=":material/touch_app:")
    if len(methods) > MOST:
        st.info(
            f"{len(methods)} curves in one picture are hard to tell apart. Below are all that "
            "you chose.",
            icon=":material/stacked_line_chart:",
        )
    return {method: controls.to_train_config(normalization=method) for method in methods}
