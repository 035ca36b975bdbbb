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
WIDTH, HEIGHT = 292, 336  # of the picture, in pixels: the plane in it is square
NAME = 11  # how far a name stands from its arrow, in pixels
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
    length = np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
    ahead = moved / length
    aside = ahead[:, ::-1] * [1, -1] * np.where(ahead[:, :1] < 0, -1, 1)
    full = np.array([name.startswith(thick) for name, *_ in arrows], bool)
    # A name stands beyond the tip; that of a thick arrow beside its middle, since a thin one may
    # go on the same way.
    named = np.where(full[:, None], (start + tip) / 2, tip)
    away = NAME * np.where(full[:, None], 1.3 * aside, ahead) * [1, -1]
    names, groups = [arrow[0] for arrow in arrows], [arrow[1] for arrow in arrows]
    data = {
        "series": names,
        "group": groups,
        **{"x": tip[:, 0], "y": tip[:, 1], "x0": start[:, 0], "y0": start[:, 1]},
        **{"x_name": named[:, 0], "y_name": named[:, 1], "dx": away[:, 0], "dy": away[:, 1]},
        # Angles in Vega are degrees clockwise from straight up.
        "turn": np.degrees(np.arctan2(moved[:, 0], moved[:, 1])),
        "moves": moved.any(axis=1),
        "full": full,
    }
    return _arrows_spec(title, domain, tuple(dict.fromkeys(groups))), charts.frame(data)


@charts.spec
def _arrows_spec(title: str, domain: Domain, groups: tuple[str, ...]) -> alt.TopLevelMixin:
    import altair as alt

    across, up = (alt.Scale(domain=ends, nice=False) for ends in domain)
    axis = alt.Axis(tickCount=5, format=".4~r")
    palette = [theme.color("", position) for position in range(len(groups))]
    base = alt.Chart().encode(
        color=alt.Color(
            "group:N",
            legend=None,
            scale=alt.Scale(domain=groups, range=palette),
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
    across_px, up_px = (f"scale('{axis}', datum.{axis}_name) + datum.d{axis}" for axis in "xy")
    names = (
        alt.Chart()
        .mark_text(fontWeight="bold", x=alt.expr(across_px), y=alt.expr(up_px))
        .encode(text="series:N")
    )
    return alt.layer(shaft, head, names).properties(width=WIDTH, height=HEIGHT, title=title)
