"""How the input of one unit moves while its network learns, by method."""

from __future__ import annotations

import streamlit as st

from normlib.run import Run
from pages.components import charts, controls
from pages.lab import results, words
from pages.lessons.train import peers


def show(run: Run) -> None:
    controls.control("stage")
    unit = f"{controls.get('stage')}_input"
    found = peers.runs(run)
    charts.show(
        charts.bands(results.percentiles(found, unit), "step", "Step", "Input to ReLU"),
        "15th, 50th and 85th percentile of one unit's input, over 128 validation images.",
        "percentiles",
    )
    moved = results.drift(found, unit)
    if len(moved) > 1:
        most, least = max(moved, key=moved.__getitem__), min(moved, key=moved.__getitem__)
        st.markdown(
            f"The median moves most with **{words.title(most)}**, by {moved[most]:.1f} times the "
            f"band's width, and least with **{words.title(least)}**, by {moved[least]:.1f} times."
        )
    peers.offer(run)
