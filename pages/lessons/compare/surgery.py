"""One normalization, and the same with one piece taken out or changed at a time."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from normlib.config import TrainConfig
from pages.components import controls, page
from pages.lab import run_names, words
from pages.lessons.compare import side_by_side

QUESTION = (
    "One piece of a normalization is taken out or changed at a time: which change costs most?"
)
OPTIONS = page.which(
    "worst", *(run_names.SURGERY[cut] for cut in ("center", "scale", "fixed")), other="Another"
)
WAITS = True  # controls first
OPERABLE = ("batch", "layer", "group", "instance")


def show() -> None:
    side_by_side.show(draw_choice, wanted)


def draw_choice(place: DeltaGenerator) -> tuple[str, ...]:
    method, cuts = place.columns(2, gap="xsmall", vertical_alignment="bottom")
    controls.control("method", method, choices=OPERABLE)
    with cuts.popover("Changes", width="stretch", key="cuts_choice"):
        controls.control("cuts")
    return (controls.get("method"),)


def wanted() -> dict[str, TrainConfig]:
    """Series -> its training; a sentence for a change that the settings do not allow."""
    method = controls.get("method")
    base = controls.to_train_config(normalization=method)
    series = {method: base}
    for cut in controls.get("cuts"):
        name = run_names.SURGERY[cut]
        try:
            config = run_names.surgery(base, cut)
        except ValueError as error:
            st.warning(f"{name}: {error}", icon=":material/tune:")
            continue
        if config.only_used() == base.only_used():
            st.info(
                f"{name}: that is how {words.in_sentence(method)} already runs here.",
                icon=":material/tune:",
            )
            continue
        series[name] = config
    return series
