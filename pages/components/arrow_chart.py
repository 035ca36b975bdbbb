"""Arrows in the plane, on a square: weight norm turns and stretches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from pages.components import charts, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

Domain = tuple[tuple[float, float], tuple[float, float]]
Arrow = tuple[str, str, ArrayLike, ArrayLike]  # name, group, start, tip
SIZE = 270  # of the picture, in pixels
_HEAD = "M0,0L0.55,1.3L-0.55,1.3Z"  # of an arrow that points up and ends in its tip


def panel(
    title: str, arrows: Sequence[Arrow], *, thick: str, domain: Domain | None = None
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Arrows with their names beside them, for `charts.Chart`. A group, of four at most, has one
    colour.

    thick: what the names of the arrows drawn thick begin with.
    domain: of x and y, as far as the arrows stay within it, so that it stays while they change.
    """
    ends = np.array([(start, tip) for _, _, start, tip in arrows], float).reshape(-1, 2, 2)
    start, tip = ends[:, 0], ends[:, 1]
    low, high = np.transpose(domain or [(0, 0)] * 2)
    if domain is None or not ((low <= tip) & (tip <= high)).all():
        reach = charts.round_up(1.15 * float(np.abs(ends).max()))
        domain = ((-reach, reach), (-reach, reach))
    moved = tip - start
    # A name stands at the tip, or, where the arrow begins at another's tip, at its middle.
    named = np.where(start.any(axis=1, keepdims=True), (start + tip) / 2, tip)
    names, groups = [arrow[0] for arrow in arrows], [arrow[1] for arrow in arrows]
    data = {
        "series": names,
        "group": groups,
        **{"x": tip[:, 0], "y": tip[:, 1], "x0": start[:, 0], "y0": start[:, 1]},
        **{"x_name": named[:, 0], "y_name": named[:, 1]},
        # Angles in Vega are degrees clockwise from straight up.
        "turn": np.degrees(np.arctan2(moved[:, 0], moved[:, 1])),
        "moves": moved.any(axis=1),
        "full": [name.startswith(thick) for name in names],
    }
    return _arrows_spec(title, domain, tuple(dict.fromkeys(groups)), SIZE), charts.frame(data)


@charts.spec
def _arrows_spec(
    title: str, domain: Domain, groups: tuple[str, ...], size: int
) -> alt.TopLevelMixin:
    import altair as alt

    across, up = (alt.Scale(domain=ends, nice=False) for ends in domain)
    axis = alt.Axis(tickCount=5, format=".4~r")
    palette = [theme.COLORS[name] for name in ("batch", "weight", "layer", "group")]
    base = alt.Chart().encode(
        color=alt.Color(
            "group:N",
            legend=None,
            scale=alt.Scale(domain=groups, range=palette[: len(groups)]),
        ),
        tooltip=["series:N", alt.Tooltip("x:Q", format=".4~g"), alt.Tooltip("y:Q", format=".4~g")],
    )
    shaft = base.mark_rule().encode(
        x=alt.X("x0:Q", scale=across, title=None, axis=axis),
        y=alt.Y("y0:Q", scale=up, title=None, axis=axis),
        x2="x:Q",
        y2="y:Q",
        strokeWidth=alt.condition("datum.full", alt.value(4.5), alt.value(1.5)),
        strokeDash=alt.condition("datum.full", alt.value([1, 0]), alt.value([5, 3])),
    )
    head = (
        base.transform_filter("datum.moves")
        .mark_point(shape=_HEAD, filled=True, opacity=1)
        .encode(
            x=alt.X("x:Q", scale=across, title=None),
            y=alt.Y("y:Q", scale=up, title=None),
            size=alt.condition("datum.full", alt.value(300), alt.value(140)),
            angle=alt.Angle("turn:Q", scale=None),
        )
    )
    # Above the thin arrows and below the thick ones, which may point the same way.
    names = [
        alt.Chart()
        .transform_filter(condition)
        .mark_text(dx=8, dy=dy, align="left", fontWeight="bold")
        .encode(
            x=alt.X("x_name:Q", scale=across, title=None),
            y=alt.Y("y_name:Q", scale=up, title=None),
            text="series:N",
        )
        for condition, dy in (("datum.full", 12), ("!datum.full", -10))
    ]
    return alt.layer(shaft, head, *names).properties(width=size, height=size, title=title)
