"""Arrows in the plane, on a square: weight norm turns and stretches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pages.components import charts, controls, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

Domain = tuple[tuple[float, float], tuple[float, float]]
_HEAD = "M0,0L0.55,1.3L-0.55,1.3Z"  # of an arrow that points up and ends in its tip


def panel(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    thick: str = "",
    domain: Domain | None = None,
    size: int = 270,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Arrows from (x0, y0), the origin where not given, to (x, y), for `charts.Chart`.

    rows: series (its name, written beside the arrow), x, y, and x0, y0; group: what has one
    colour, at most four; each series where not given.
    thick: what the names of the arrows drawn thick begin with.
    domain: of x and y, as far as the arrows stay within it, so that it stays while they change.
    """
    data = charts.frame(list(rows))
    for start in ("x0", "y0"):
        data[start] = data[start].fillna(0.0) if start in data else 0.0
    if domain is None or not all(
        data[end].between(*domain[axis]).all() for axis, end in ((0, "x"), (1, "y"))
    ):
        reach = charts.round_up(1.15 * float(np.abs(data[["x", "y", "x0", "y0"]].to_numpy()).max()))
        domain = ((-reach, reach), (-reach, reach))
    # Angles in Vega are degrees clockwise from straight up.
    data["turn"] = np.degrees(np.arctan2(data["x"] - data["x0"], data["y"] - data["y0"]))
    data["full"] = [name.startswith(thick) for name in data["series"]]
    # A name stands at the tip, or, where the arrow begins at another's tip, at its middle.
    if "group" not in data:
        data["group"] = data["series"]
    middle = (data["x0"] != 0) | (data["y0"] != 0)
    for end, start in (("x", "x0"), ("y", "y0")):
        data[f"{end}_name"] = np.where(middle, (data[end] + data[start]) / 2, data[end])
    data["moves"] = (data["x"] != data["x0"]) | (data["y"] != data["y0"])
    size = round(1.4 * size) if controls.presenting() else size
    return _arrows_spec(title, domain, tuple(dict.fromkeys(data["group"])), size), data


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
