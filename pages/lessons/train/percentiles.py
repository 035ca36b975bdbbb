"""How the inputs of the units move while their network learns, by method."""

from __future__ import annotations

import numpy as np
import streamlit as st

from normlib.run import Run
from pages.components import charts, controls
from pages.lab import results, words
from pages.lessons.train import peers


def show(run: Run) -> None:
    first, second, third = st.columns([1.2, 1.2, 1])
    layer = controls.control("stage", first)
    which = controls.control("units", second)
    unit = None
    if which == "one":
        unit = controls.control("channel", third, label="Unit")
    found = {name: one for name, one in peers.runs(run).items() if f"{layer}_units" in one.recorded}
    if not found:
        st.markdown("These numbers were not kept of this run. Train it here, and they are.")
        return
    whose = "of the medians of all units" if unit is None else f"of unit {unit}'s input"
    edges = "Quartiles" if unit is None else "15th, 50th and 85th percentile"
    charts.show(
        charts.bands(results.percentiles(found, layer, unit), "step", "Step", "Input to ReLU"),
        f"{edges} {whose}, over 128 validation images.",
        "percentiles",
    )
    moved = {name: each for name, each in results.drift(found, layer).items() if len(each)}
    if len(moved) > 1:
        st.markdown(sentence(moved))
    peers.offer(run)


def sentence(moved: dict[str, np.ndarray]) -> str:
    """Of all units: which method moves them most and least, and in how many units that holds."""
    middle = {name: float(np.median(each)) for name, each in moved.items()}
    most, least = max(middle, key=middle.__getitem__), min(middle, key=middle.__getitem__)
    text = (
        f"Over training a unit's median moves most with **{words.title(most)}**, by "
        f"{middle[most]:.1f} times its band's width in the median unit, and least with "
        f"**{words.title(least)}**, by {middle[least]:.1f} times"
    )
    if len({len(each) for each in moved.values()}) > 1:
        return f"{text}."
    units = np.array(list(moved.values()))
    fewest = int((units.argmin(0) == list(moved).index(least)).sum())
    return f"{text}: in {fewest} of {units.shape[1]} units it moves least of all."
