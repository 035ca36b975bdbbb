"""Mean and standard deviation of every channel, before and after each method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from pages.components import activations, charts, page, turns
from pages.components.activations import Origin
from pages.lab.words import rounded, title
from pages.lessons.activation_statistics.channel_charts import spread

if TYPE_CHECKING:
    import pandas as pd

    from pages.components.charts import Chart
    from pages.lessons.activation_statistics.charts import Seen

QUESTION = "Which method gives each channel the same mean and the same standard deviation?"
OPTIONS = page.valued(
    "level",
    {
        frozenset(): "None",
        frozenset({"batch"}): "Batch norm alone",
        frozenset({"batch", "instance"}): "Batch and instance norm",
    },
    "Others",
)
LEGEND = "thick and grey: before, thin and coloured: after normalization"
LEVEL = 0.005  # what differs by less is written with the same two decimals


def show() -> None:
    origin, methods, epsilon, caption = activations.draw_controls()
    if methods:
        chart, answer, level = look(origin, methods, epsilon)
        charts.show(chart, f"{caption} · {LEGEND}", "spread", main=True)
        page.answer(answer, level=level)
        show_every_channel(origin, methods, epsilon)
        activations.show_digits(origin)
        activations.show_code(methods)
    activations.draw_origin_controls()


def show_every_channel(origin: Origin, methods: tuple[str, ...], epsilon: float) -> None:
    every = st.expander(
        f"Every statistic of every {origin.unit}",
        icon=":material/table:",
        on_change="rerun",
        key="each",
    )
    if every.open:
        with turns.let_others():
            table = every_channel(origin, methods, epsilon)
        every.dataframe(table, hide_index=True, key="each_table")


@st.cache_resource(max_entries=256, show_spinner=False)
def look(origin: Origin, methods: tuple[str, ...], epsilon: float) -> tuple[Chart, str, set[str]]:
    """The picture, the words, and the methods whose channels are all alike."""
    seen = {method: activations.look(origin, method, epsilon) for method in methods}
    level = {method for method, steps in seen.items() if steps["normalized"].is_level(LEVEL)}
    return spread(seen, origin.unit), answer_to(seen, origin.unit), level


@st.cache_resource(max_entries=32, show_spinner=False)
def every_channel(origin: Origin, methods: tuple[str, ...], epsilon: float) -> pd.DataFrame:
    """The full table, percentiles and all; made only when somebody opens it."""
    import pandas as pd

    tables = {title(m): activations.channel_table(origin, m, epsilon) for m in methods}
    return pd.concat(tables, names=["method"]).reset_index("method").reset_index(drop=True)


def answer_to(seen: Seen, unit: str) -> str:
    paragraphs = []
    for method, steps in seen.items():
        z = steps["normalized"]
        apart, low, high = float(np.ptp(z.mean)), float(z.std.min()), float(z.std.max())
        mean = f"every {unit} has mean {z.overall_mean + 0.0:.2f}"
        if apart >= LEVEL:
            mean = f"the {unit}s' means lie up to {rounded(apart, 2)} apart"
        std = f"; their std goes from {rounded(low, 2)} to {rounded(high, 2)}"
        if apart < LEVEL and high - low < LEVEL:
            std = f" and std {low:.2f}"
        paragraphs.append(f"**{title(method)}:** {mean}{std}.")
    return "\n\n".join(paragraphs)
