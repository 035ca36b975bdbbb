"""Lines over a few values of a setting: of methods, or of series that are no methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pages.components import charts, theme
from pages.components.charts import Chart, frame
from pages.lab import words

if TYPE_CHECKING:
    import altair as alt

    from pages.components.charts import Rows

_PERCENT_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7)
_LEAST = 1e-3  # a log axis has no zero
_SHAPES = ("circle", "square", "triangle-up", "diamond")


class Series(NamedTuple):
    """A line's name in the legend, its colour, dash and mark."""

    title: str
    color: str
    dash: tuple[int, ...]
    shape: str = "circle"


def of_method(method: str, index: int = 0) -> Series:
    """A method as everywhere else in the lab."""
    dash = tuple(theme.dash(method, index))
    return Series(words.title(method), theme.color(method, index), dash, _SHAPES[index % 4])


def lines(
    rows: Rows,
    series: Mapping[str, Series],
    x_title: str,
    y_title: str,
    *,
    places: Sequence[float],
    log: bool,
    summary: str,
    log_y: bool = False,
) -> Chart:
    """One line per series over a few values of a setting, with a band where low and high differ.

    rows: series (a key of `series`), x, y, low, high. places: every value of the whole picture,
    also while it fills in. log: the values stand where their logarithm puts them; otherwise side
    by side. log_y: the same for y.
    """
    data = frame(rows)
    shown = {key: one for key, one in series.items() if (data["series"] == key).any()}
    banded = tuple(dict.fromkeys(data.loc[data["low"] < data["high"], "series"]))
    data = data.assign(title=[shown[key].title for key in data["series"]])
    drawn, ends = data, None
    if log_y:
        above = data[["y", "low", "high"]].clip(lower=_LEAST)
        drawn = data.assign(y=above["y"], low=above["low"], high=above["high"])
        ends = round(0.9 * above["low"].min(), 4), round(min(1.1 * above["high"].max(), 1), 4)
    spec = _lines_spec(tuple(shown.items()), banded, x_title, y_title, tuple(places), log, ends)
    table = data[["title", "x", "y", "low", "high"]]
    names = {"title": "series", "x": x_title, "y": y_title}
    return Chart(((spec, drawn),), summary, table.rename(columns=names))


@charts.spec
def _lines_spec(
    series: tuple[tuple[str, Series], ...],
    banded: tuple[str, ...],
    x_title: str,
    y_title: str,
    places: tuple[float, ...],
    log: bool,
    ends: tuple[float, float] | None,
) -> alt.TopLevelMixin:
    import altair as alt

    if log:
        x_scale = alt.Scale(type="log", base=2, nice=False, padding=12, domain=_ends(places))
        x_axis = alt.Axis(values=list(places), format="~g", grid=False)
    else:
        x_scale, x_axis = alt.Scale(domain=places), alt.Axis(labelAngle=0, format="~g")
    if ends:
        ticks = [tick for tick in _PERCENT_TICKS if ends[0] <= tick <= ends[1]]
        y_scale = alt.Scale(type="log", domain=ends, nice=False)
        y_axis = alt.Axis(format="~%", values=ticks)
    else:
        y_scale, y_axis = alt.Scale(zero=False, nice=True), alt.Axis(format="~%", tickCount=6)

    def y(name: str) -> alt.Y:
        return alt.Y(f"{name}:Q", title=y_title, scale=y_scale, axis=y_axis)

    base = alt.Chart().encode(
        x=alt.X("x:Q" if log else "x:O", title=x_title, scale=x_scale, axis=x_axis)
    )
    keys, looks = zip(*series, strict=True)
    titles = [one.title for one in looks]
    colors = alt.Scale(domain=titles, range=[one.color for one in looks])
    dashes = alt.Scale(domain=titles, range=[one.dash for one in looks])
    shapes = alt.Scale(domain=keys, range=[one.shape for one in looks])
    color = alt.Color("title:N", title=None, scale=colors)
    # The legend would take on the faintness of a band that shares its colour scale.
    bands = [
        base.transform_filter(alt.datum.series == key)
        .mark_area(opacity=0.18, color=one.color)
        .encode(y=y("low"), y2="high:Q")
        for key, one in series
        if key in banded
    ]
    line = base.mark_line().encode(
        y=y("y"), color=color, strokeDash=alt.StrokeDash("title:N", title=None, scale=dashes)
    )
    marks = base.mark_point(filled=True, opacity=1, size=70).encode(
        y=y("y"),
        color=color,
        # By another field than the legend's, which would draw marks instead of dashes.
        shape=alt.Shape("series:N", legend=None, scale=shapes),
        tooltip=[
            alt.Tooltip("title:N", title="series"),
            alt.Tooltip("x:Q", title=x_title, format=",~g"),
            alt.Tooltip("y:Q", title=y_title, format=".2%"),
            alt.Tooltip("low:Q", title="lowest", format=".2%"),
            alt.Tooltip("high:Q", title="highest", format=".2%"),
        ],
    )
    return alt.layer(*bands, line, marks).properties(height=320)


def _ends(places: Sequence[float]) -> tuple[float, float]:
    return min(places), max(places)
