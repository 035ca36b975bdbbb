"""The panels of this page's pictures: terms as bars, a path, moved numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pages.components import charts, theme
from pages.lab import words

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    Panel = tuple[dict[str, Any], pd.DataFrame]

_OWN, _OTHER = theme.color("", 0), theme.color("", 1)


def terms(title: str, bars: Mapping[str, float], reach: float) -> Panel:
    """One bar to the left or right of 0 for each number, the last one set off as the sum.

    reach: how far the axis goes both ways at least; a bar beyond it is cut, with an arrow.
    """
    end = charts.round_up(1.5 * reach)
    values = np.array(list(bars.values()))
    drawn = np.clip(values, -0.67 * end, 0.67 * end)
    cut = np.sign(values) * (drawn != values)
    data = {
        "label": list(bars),
        "value": values,
        "drawn": drawn,
        "text": [
            "←" * (by < 0) + words.rounded(value, 3) + "→" * (by > 0)
            for value, by in zip(values.tolist(), cut.tolist(), strict=True)
        ],
        "sum": np.arange(len(bars)) == len(bars) - 1,
    }
    return _terms_spec(title, tuple(bars), end), charts.frame(data)


@charts.spec
def _terms_spec(title: str, labels: tuple[str, ...], end: float) -> alt.TopLevelMixin:
    import altair as alt

    ticks = alt.Axis(values=[-end / 2, 0, end / 2], format="~g")
    base = alt.Chart().encode(
        y=alt.Y("label:N", sort=list(labels), title=None, axis=alt.Axis(labelLimit=150)),
        x=alt.X("drawn:Q", title="", axis=ticks, scale=alt.Scale(domain=(-end, end), nice=False)),
    )
    bars = base.mark_bar(height=26).encode(
        color=alt.condition("datum.value >= 0", alt.value(_OWN), alt.value(_OTHER)),
        opacity=alt.condition("datum.sum", alt.value(1), alt.value(0.6)),
    )
    zero = alt.Chart().mark_rule(color=theme.NEUTRAL, strokeWidth=1.5).encode(x=alt.datum(0))
    right = base.transform_filter("datum.value >= 0").mark_text(align="left", dx=6)
    left = base.transform_filter("datum.value < 0").mark_text(align="right", dx=-6)
    texts = [one.encode(text="text:N") for one in (right, left)]
    return alt.layer(bars, zero, *texts).properties(height=theme.HEIGHT, title=title)


def path(title: str, paths: Mapping[str, np.ndarray], end: float) -> Panel:
    """Ways in the plane, (steps, 2) each, on a square that reaches to `end`, and the circle on
    which they begin."""
    around = np.linspace(0, 2 * np.pi, 91)
    circle = np.stack([np.cos(around), np.sin(around)], axis=1)
    rows = [
        {"series": name, "step": step, "x": x, "y": y}
        for name, points in {"": circle, **paths}.items()
        for step, (x, y) in enumerate(points.tolist())
    ]
    return _path_spec(title, ("", *paths), end), charts.frame(rows)


@charts.spec
def _path_spec(title: str, names: tuple[str, ...], end: float) -> alt.TopLevelMixin:
    import altair as alt

    at: dict[str, Any] = {
        "scale": alt.Scale(domain=(-end, end), nice=False),
        "axis": alt.Axis(tickCount=5),
        "title": None,
    }
    base = alt.Chart().encode(x=alt.X("x:Q", **at), y=alt.Y("y:Q", **at), order="step:Q")
    layers = []
    for index, name in enumerate(names, -1):
        color = theme.color(name, index) if name else theme.NEUTRAL
        dash = theme.dash(name, index) if name else [3, 3]
        line = base.mark_line(clip=True, color=color, strokeDash=dash, strokeWidth=2)
        layers.append(line.transform_filter(alt.datum.series == name))
    return alt.layer(*layers).properties(width=theme.HEIGHT - 44, height=theme.HEIGHT, title=title)


def moved(
    title: str, before: np.ndarray, after: np.ndarray, own: int, ends: tuple[float, float]
) -> Panel:
    """Numbers (examples, features) on one line for each example: a circle where one was, a dot
    where it is. own: the feature that is drawn in colour."""
    example, feature = np.indices(before.shape).reshape(2, -1)
    data = {
        "example": [f"E{number + 1}" for number in example],
        "feature": [f"F{number + 1}" for number in feature],
        **{"before": before.ravel(), "after": after.ravel(), "own": feature == own},
    }
    return _moved_spec(title, ends), charts.frame(data)


@charts.spec
def _moved_spec(title: str, ends: tuple[float, float]) -> alt.TopLevelMixin:
    import altair as alt

    scale = alt.Scale(domain=ends, nice=False)
    base = alt.Chart().encode(
        y=alt.Y("example:N", title=None),
        color=alt.condition("datum.own", alt.value(_OWN), alt.value(theme.NEUTRAL)),
        tooltip=["example:N", "feature:N", *(f"{one}:Q" for one in ("before", "after"))],
    )
    at = alt.X("after:Q", scale=scale, title=None, axis=alt.Axis(tickCount=6))
    return alt.layer(
        base.mark_rule(strokeWidth=2).encode(x=at, x2="before:Q"),
        base.mark_point(size=260, strokeWidth=1.5).encode(x=alt.X("before:Q", scale=scale)),
        base.mark_point(size=110, filled=True, opacity=1).encode(x=at),
        base.mark_text(dy=-19).encode(x=at, text="feature:N"),
    ).properties(height=theme.HEIGHT, title=title)
