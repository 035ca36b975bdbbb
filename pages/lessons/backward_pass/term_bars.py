"""The terms of a gradient as bars to the left and right of 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pages.components import charts, theme
from pages.lab import words

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd


def panel(
    title: str, bars: Mapping[str, float], reach: float
) -> tuple[dict[str, Any], pd.DataFrame]:
    """One bar to the left or right of 0 for each number, the last one set off as the sum.

    reach: how far the axis goes both ways; the same for every cell, so that bars can be compared.
    """
    values = list(bars.values())
    data: dict[str, list[Any]] = {
        "label": list(bars),
        "value": values,
        "text": [words.rounded(value, 3) for value in values],
        "sign": ["positive" if value >= 0 else "negative" for value in values],
        "sum": [index == len(bars) - 1 for index in range(len(bars))],
    }
    return _bars_spec(title, tuple(bars), charts.round_up(1.3 * reach)), charts.frame(data)


@charts.spec
def _bars_spec(title: str, labels: tuple[str, ...], reach: float) -> alt.TopLevelMixin:
    import altair as alt

    ticks = alt.Axis(values=[-reach / 2, 0, reach / 2], format="~g")
    base = alt.Chart().encode(
        y=alt.Y("label:N", sort=list(labels), title=None, axis=alt.Axis(labelLimit=160)),
        x=alt.X(
            "value:Q", title="", axis=ticks, scale=alt.Scale(domain=(-reach, reach), nice=False)
        ),
    )
    signs = alt.Scale(
        domain=["positive", "negative"], range=[theme.COLORS["batch"], theme.COLORS["weight"]]
    )
    bars = base.mark_bar(height=22).encode(
        color=alt.Color("sign:N", scale=signs, legend=None),
        opacity=alt.condition("datum.sum", alt.value(1), alt.value(0.6)),
        tooltip=["label:N", alt.Tooltip("value:Q", format=".6~g")],
    )
    zero = alt.Chart().mark_rule(color=theme.NEUTRAL, strokeWidth=1.5).encode(x=alt.datum(0))
    right = base.transform_filter("datum.value >= 0").mark_text(align="left", dx=6)
    left = base.transform_filter("datum.value < 0").mark_text(align="right", dx=-6)
    texts = [one.encode(text="text:N") for one in (right, left)]
    return alt.layer(bars, zero, *texts).properties(height={"step": 44}, title=title)
