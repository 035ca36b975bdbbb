"""Histograms of one layer before and after each method, and of what ReLU leaves of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from pages.components import activations, charts, page
from pages.components.activations import Origin
from pages.lab.words import number, percent, rounded, title
from pages.lessons.activation_statistics import silent_units
from pages.lessons.activation_statistics.charts import histograms
from pages.lessons.activation_statistics.table import show_table, table_of

if TYPE_CHECKING:
    import pyarrow as pa

    from pages.components.charts import Chart
    from pages.lab.activations import Summary
    from pages.lessons.activation_statistics.charts import Seen

QUESTION = "Normalizing gives mean 0 and standard deviation 1. What is left of both after ReLU?"
OPTIONS = page.valued(
    "relu",
    {"kept": "Both", "smaller": "A mean above 0, a deviation below 1"}
    | {"larger": "A mean above 0, a deviation of 1 or more", "nothing": "Nothing: all is 0"},
)
TITLES = {
    "before": "Before normalization",
    "normalized": "After normalization",
    "relu": "After ReLU",
}


def show() -> None:
    origin, methods, epsilon, caption = activations.draw_controls()
    if methods:
        chart, silent, answer, table, facts = look(origin, methods, epsilon)
        charts.show(chart, caption, "histograms", main=True)
        if any(off for off, _, _ in silent.values()):
            silent_units.show(silent, origin.unit)
        page.answer(answer, **facts)
        show_table(table)
        activations.show_digits(origin)
        activations.show_code(methods)
    activations.draw_origin_controls()


@st.cache_resource(max_entries=384, show_spinner=False)  # some 60 kB each
def look(
    origin: Origin, methods: tuple[str, ...], epsilon: float
) -> tuple[Chart, dict[str, tuple[int, int, int]], str, pa.Table, dict[str, Any]]:
    """The picture, its silent units, the words, the table under it, and what a lesson asks."""
    seen = {method: activations.look(origin, method, epsilon) for method in methods}
    chart = histograms(seen, {step: TITLES[step] for step in next(iter(seen.values()))})
    silent = {
        method: silent_units.count(steps["relu"], origin, method, epsilon)
        for method, steps in seen.items()
    }
    answer, table = answer_to(seen, silent, origin, epsilon), charts.arrow(table_of(seen))
    first = next((seen[method] for method in seen if method not in ("none", "weight")), None)
    std = seen["batch"]["normalized"].overall_std if "batch" in seen else np.nan
    facts: dict[str, Any] = {"batch": origin.batch, "std": std}
    facts["relu"] = first["relu"].against_standard if first else None
    return chart, silent, answer, table, facts


# ---- the answer ------------------------------------------------------------------------------


def answer_to(
    seen: Seen, silent: Mapping[str, tuple[int, int, int]], origin: Origin, epsilon: float
) -> str:
    paragraphs = []
    for method, steps in seen.items():
        z, relu = steps["normalized"], steps["relu"]
        mean = round(z.overall_mean, 2) + 0.0  # no "-0.00"
        text = f"**{title(method)}:** mean {mean:.2f}, std {z.overall_std:.2f}"
        if not z.finite:
            paragraphs.append(f"{text}; some values are not finite numbers.")
            continue
        text += (
            f"; after ReLU mean {relu.overall_mean:.2f}, std {relu.overall_std:.2f}, "
            f"{percent(relu.zero_share, 0)} exactly 0."
        )
        paragraphs.append(" ".join([text, *reasons(method, steps, origin, epsilon)]))
    if not any(off for off, _, _ in silent.values()):
        paragraphs.append(f"No {origin.unit} is off: each is non-zero for at least one digit.")
    elif not any(dead for _, dead, _ in silent.values()):
        paragraphs.append(
            f"No {origin.unit} is dead: those that are 0 for this batch are not for all of "
            f"{activations.PROBE_IMAGES} other digits."
        )
    return "\n\n".join(paragraphs)


def reasons(
    method: str, steps: Mapping[str, Summary], origin: Origin, epsilon: float
) -> Iterator[str]:
    """What happened at the ends of the sliders, and why, where it did."""
    from pages.lab.activations import typical_variance

    before = steps["before"]
    if method == "batch" and before.count == 1:
        yield (
            "With one digit each unit has a single number. It is its own mean, its variance is "
            f"{rounded(before.std.max() ** 2, 2)}, and (x − mean) / √(0 + ε) is 0 whatever the "
            "digit shows: only β is left."
        )
        return
    if method == "batch" and before.zero_share > 0.2:
        yield (
            f"{percent(before.zero_share, 0)} of the values were exactly 0, over the empty "
            "background; now they are one value per channel, the narrow peaks."
        )
    if method == "batch" and origin.batch == 1:
        yield (
            "With one digit a channel's mean is that of this digit's positions alone: batch norm "
            "does here what instance norm does."
        )
    if method not in ("none", "weight") and steps["normalized"].overall_std < 0.9:
        typical = typical_variance(before, per_channel=method == "batch")
        whose = "median channel's" if method == "batch" else "whole"
        if epsilon > 0.1 * typical > 0:
            size = "more than" if epsilon > typical else "more than a tenth of"
            yield (
                f"ε = {number(epsilon)} is {size} the {whose} "
                f"variance, {rounded(typical, 2)}: the root is larger than the standard deviation, "
                "and dividing by it leaves less than 1."
            )
    if method == "weight":
        yield "It rebuilds the kernel from v and g; the activations themselves are not normalized."
        if origin.start == "data":
            yield (
                "Its g and biases were set by the first "
                f"{activations.START_IMAGES} training images, on which mean and deviation are 0 "
                "and 1."
            )
