"""Pictures from tidy rows: each has a caption, a summary in words and a table.

`show` draws a `Chart`, such as `loss_curves(rows)`. Rows are a list of dictionaries, a dictionary
of columns or a DataFrame, with the columns that the function names; "method" holds keys of
`normlib.config.METHODS`, or any other name of a series.

The Vega-Lite specs are written in Altair and kept as dictionaries: a redraw then costs the server
a millisecond and sends only data. pandas is imported late because on Apple silicon TensorFlow has
to come first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from pages.components import controls, page, server, theme
from pages.lab import words

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import pyarrow as pa

    Rows = pd.DataFrame | Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any] | np.ndarray]

LOSS_RANGE = (0.01, 30.0)  # of each loss axis: fresh weights have up to 15, guessing has 2.3
FLOOR = 1e-7  # where a 0 is drawn on a log axis: below the smallest loss of float32, 1.19e-7
FAR = 1e6  # a log axis that reaches further has its ticks as powers of ten
_LEARNED = (0.5, 1.0)  # the axis of accuracies none of which is lower
_PADDING = {"left": 0, "right": 6, "top": 4, "bottom": 4}


@dataclass(frozen=True)
class Chart:
    """A picture: panels side by side (each a spec and its data), a summary, and its table."""

    panels: tuple[tuple[dict[str, Any], pd.DataFrame], ...]
    summary: str
    table: pd.DataFrame

    @cached_property
    def sent(self) -> tuple[pa.Table, ...]:
        """The data of the panels as they are sent: a chart that is kept is converted once."""
        return tuple(arrow(data) for _, data in self.panels)


def show(
    chart: Chart,
    caption: str,
    key: str,
    *,
    main: bool = False,
    widths: Sequence[float] = (),
    on_select: Callable[[str], None] | None = None,
) -> None:
    """Draw a chart, its caption, and its numbers folded away.

    caption: names the data, the seed and the settings; `caption_for` writes it.
    key: unique on the page and the same in every run, so that a new run only sends new data.
    main: whether it is the main picture of its view, in the place of `page.picture`.
    widths: of the panels, relative to each other; equal where not given. A spec with a width of
        its own (in pixels) keeps it, as where a right angle has to look like one.
    on_select: called with the key of the panel in which the reader clicked a mark;
        `st.session_state[key]["selection"]` then holds what the parameters of its spec selected.
    """
    config = theme.config()
    with st.container(key=key, gap="xsmall"):
        alone = len(chart.panels) == 1
        with page.picture() if main else st.container():
            columns = [st.container()] if alone else st.columns(widths or len(chart.panels))
        for index, (column, (spec, _)) in enumerate(zip(columns, chart.panels, strict=True)):
            clicked = partial(on_select, f"{key}_{index}") if on_select else None
            column.vega_lite_chart(
                chart.sent[index],
                spec | {"config": config, "padding": _PADDING},
                width="content" if isinstance(spec.get("width"), int) else "stretch",
                key=f"{key}_{index}",
                alt=_in_words(spec),
                on_select=clicked if clicked and "params" in spec else "ignore",
            )
        st.caption(words.minus(caption))
        numbers = st.expander("Data table", key=f"{key}_numbers", on_change="rerun", type="compact")
        if numbers.open:
            with numbers:
                st.markdown(words.minus(chart.summary))
                table = titled(chart.table)
                st.dataframe(table, hide_index=True, key=f"{key}_table", alt=chart.summary)


def tall(chart: Chart) -> Chart:
    """The same with its panels as high as a main picture."""
    panels = ((spec | {"height": theme.HEIGHT}, data) for spec, data in chart.panels)
    return replace(chart, panels=tuple(panels))


def titled(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the names that the reader knows: "Layer norm" for layer, "Step" for step."""
    names = {
        name: f"{name[0].upper()}{name[1:].replace('_', ' ')}"
        for name in map(str, table)
        if re.fullmatch("[a-z_]{3,}", name)
    }
    if "method" in table:
        table = table.assign(method=[words.title(method) for method in table["method"]])
    return table.rename(columns=names)


def get_ready() -> None:
    """Have the browser load what it draws with, where a chart will soon be wanted at once."""
    nothing = {"mark": {"type": "point", "opacity": 0}, "width": 1, "height": 1, "padding": 0}
    st.vega_lite_chart(
        {"data": {"values": [{}]}, **nothing, "config": {"view": {"stroke": None}}},
        width="content",
        key="_ready",
        alt="Nothing yet.",
    )


def _in_words(spec: Mapping[str, Any]) -> str:
    """What a picture is of, by its titles, for who cannot see it.

    Not its numbers: the browser puts these words into the spec, and would build the picture anew
    at every move instead of moving its marks. The summary has them, and the table.
    """
    titles = ", ".join(dict.fromkeys(_titles(spec)))
    return f"Chart: {titles}. A summary and the numbers are under it." if titles else "Chart."


def _titles(spec: Mapping[str, Any]) -> list[str]:
    axes = [spec.get("encoding", {}).get(axis, {}) for axis in ("x", "y")]
    own = [one["title"] for one in (spec, *axes) if isinstance(one.get("title"), str)]
    return own + [title for layer in spec.get("layer", ()) for title in _titles(layer)]


def caption_for(*names: str, data: str = "", more: str = "") -> str:
    """`MNIST · batch size 64 · seed 0`: the data and these settings as they stand."""
    parts = [data or server.data_words()]
    for name in names:
        setting, value = controls.CONTROLS[name], controls.get(name)
        parts.append(f"{setting.label.lower()} {setting.words(value).lower()}")
    return " · ".join([*parts, more] if more else parts)


def frame(rows: Rows) -> pd.DataFrame:
    """Tidy rows as a DataFrame."""
    import pandas as pd

    return rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)


def arrow(rows: pd.DataFrame) -> pa.Table:
    """Rows as Streamlit sends them; it would convert a DataFrame again in every run."""
    import pyarrow as pa

    return pa.Table.from_pandas(rows, preserve_index=False)


# ---- the charts ------------------------------------------------------------------------------


def curves(
    rows: Rows,
    x: str,
    y: str,
    x_title: str,
    y_title: str,
    *,
    log: bool = False,
    y_range: tuple[float, float] | None = None,
    x_range: tuple[float, float] | None = None,
    points: bool = False,
    percent: bool = False,
    faint: str = "",
    places: Sequence[float] = (),
    ends: Mapping[str, str] | None = None,
) -> Chart:
    """One line per method. rows: method, x, y; with low and high too, a band is drawn behind.

    points: mark each value (few values, such as one per epoch). faint: a column drawn behind as
    thin lines. places: the values of x where they are few, each with a mark on its axis, a
    logarithm apart or, where one is 0, side by side. On a log axis a 0 is drawn at its lower end.
    ends: method -> a word where its line ends, such as "diverged"; what lies beyond `y_range` on a
    log axis is drawn at its edge, and has such a word there too.
    """
    data = frame(rows)
    band, methods = {"low", "high"} <= set(data.columns), _methods(data)
    said = _said(data, y, y_range[1] if log and y_range else math.inf, ends or {})
    spec = _curves_spec(
        *(x, y, x_title, y_title, methods, log, y_range, x_range, points, percent),
        faint=faint,
        band=band,
        places=tuple(places),
        worded=tuple(one for one in methods if one in said),
    )
    drawn = [y, *([faint] if faint else []), *(("low", "high") if band else ())]
    lifted = _lifted(data, drawn) if log else data
    if log and y_range:  # what has no finite number stands at the upper edge too
        numbers = lifted[drawn].astype(float)
        lifted = lifted.assign(**numbers.where(np.isfinite(numbers), y_range[1]))
    if said:
        texts = {at: word for at, word in said.values()}
        lifted = lifted.assign(word=[texts.get(at, "") for at in lifted.index])
    # The dots of no normalization are drawn last: over another line that goes the same way.
    lifted = lifted.sort_values("method", key=lambda one: one == "none", kind="stable")
    return Chart(((spec, _titled(lifted)),), _ends(data, x, y, x_title, y_title, percent), data)


def loss_curves(
    rows: Rows, *, steps: int | None = None, ends: Mapping[str, str] | None = None
) -> Chart:
    """Loss per step by method, on the one axis that every loss has (`LOSS_RANGE`).

    rows: method, step and either loss and smoothed, drawn faint and thick, or low, mid and high
    over several seeds. steps: the axis's length while a training still runs. ends: of `curves`.
    """
    data = frame(rows)
    y, faint = ("mid", "") if "mid" in data else ("smoothed", "loss")
    x_range = (0, steps) if steps else None
    axes = (data, "step", y, "Step", "Loss")
    chart = curves(*axes, log=True, x_range=x_range, y_range=LOSS_RANGE, faint=faint, ends=ends)
    summary = _ends(chart.table, "step", y, "step", "Smoothed loss", False)
    return replace(chart, summary=summary or "No step yet.")


def accuracy_curves(rows: Rows, *, y: str = "accuracy", epochs: int | None = None) -> Chart:
    """Accuracy per epoch by method. rows: method, epoch, and y (0 to 1), maybe low and high."""
    data = frame(rows)
    shares = [data[name] for name in (y, "low", "high") if name in data]
    return curves(
        *(data, "epoch", y, "Epoch", "Validation accuracy"),
        points=True,
        percent=True,
        x_range=(1, epochs) if epochs and epochs > 1 else None,
        y_range=_LEARNED if all((one >= _LEARNED[0]).all() for one in shares) else (0.0, 1.0),
    )


def bands(rows: Rows, x: str, x_title: str, y_title: str, *, log: bool = False) -> Chart:
    """A line with a band around it per method. rows: method, x, low, mid, high."""
    return curves(rows, x, "mid", x_title, y_title, log=log)


def bars(rows: Rows, value_title: str, *, format: str = ",.3~g") -> Chart:
    """One horizontal bar per method with its value. rows: method, value."""
    data = frame(rows)
    spec = _bars_spec(_methods(data), value_title, format)
    values = ", ".join(
        f"{words.title(method)} {value:.4g}"
        for method, value in zip(data["method"], data["value"], strict=True)
    )
    return Chart(((spec, _titled(data)),), f"{value_title}: {values}.", data)


def dots(
    rows: Rows, value_title: str, *, x_range: tuple[float, float], percent: bool = False
) -> Chart:
    """One line per label with marks on it; their shapes tell the series apart.

    rows: label, series (at most three), value (0 or more). x_range: what lies outside is drawn at
    the end. The axis is logarithmic unless the values are shares; then it begins with 0.
    """
    data = frame(rows)
    labels, series = (tuple(data[name].unique()) for name in ("label", "series"))
    largest = data.loc[data.groupby("series", sort=False)["value"].idxmax()]
    show = words.percent if percent else words.rounded
    values = "; ".join(
        f"{one['series']} {show(one['value'], 2)} ({one['label']})"
        for one in largest.to_dict("records")
    )
    summary = f"{value_title}, the largest of each: {values}."
    spec = _dots_spec(labels, series, value_title, x_range, percent)
    return Chart(((spec, data.assign(drawn=data["value"].clip(*x_range))),), summary, data)


# ---- specs, written in Altair ----------------------------------------------------------------


def spec(build: Callable[..., alt.TopLevelMixin]) -> Callable[..., dict[str, Any]]:
    """The builder's chart as a dictionary, made once for equal arguments. Do not change it."""

    @lru_cache(maxsize=256)
    def built(*arguments: Hashable, **named: Hashable) -> dict[str, Any]:
        return _without_data(build(*arguments, **named).to_dict())

    return built


def _without_data(spec: Any) -> Any:
    """The spec alone: `show` brings the data and the config."""
    if isinstance(spec, list):
        return [_without_data(part) for part in spec]
    if not isinstance(spec, dict):
        return spec
    left_out = ("$schema", "config", "data", "datasets")
    return {key: _without_data(part) for key, part in spec.items() if key not in left_out}


@spec
def _curves_spec(
    x: str,
    y: str,
    x_title: str,
    y_title: str,
    methods: tuple[str, ...],
    log: bool,
    y_range: tuple[float, float] | None,
    x_range: tuple[float, float] | None,
    points: bool,
    percent: bool,
    *,
    faint: str,
    band: bool,
    places: tuple[float, ...],
    worded: tuple[str, ...],
) -> alt.TopLevelMixin:
    import altair as alt

    color, dash, shape = _looks(methods)
    y_scale: dict[str, Any] = {"type": "log", "nice": False} if log else {"zero": False}
    if y_range:
        y_scale |= {"domain": y_range, "nice": False, "clamp": True}
    y_axis = alt.Axis(format="~%") if percent else alt.Axis(format="~g", tickCount=6)
    if log and y_range and y_range[1] > FAR * y_range[0]:
        power = "'1e' + replace(format(log(datum.value) / LN10, '.0f'), '-', '−')"
        y_axis = alt.Axis(labelExpr=power, tickCount=6)
    base = alt.Chart().encode(x=_x_axis(x, x_title, x_range, places))

    def y_of(name: str) -> alt.Y:
        return alt.Y(f"{name}:Q", title=y_title, scale=alt.Scale(**y_scale), axis=y_axis)

    layers = []
    # What lies behind is a layer per method: the legend would take on its faintness.
    for index, method in enumerate(methods if band or faint else ()):
        one = base.transform_filter(alt.datum.series == words.title(method))
        if band:
            area = one.mark_area(opacity=0.18, color=theme.color(method, index))
            layers.append(area.encode(y=y_of("low"), y2="high:Q"))
        else:
            line = one.mark_line(opacity=0.3, strokeWidth=1, color=theme.color(method, index))
            layers.append(line.encode(y=y_of(faint)))
    base = base.encode(y=y_of(y), color=color)
    spots = base.mark_point(filled=True, opacity=1 if points else 0).encode(
        shape=shape,
        tooltip=[
            "series:N",
            alt.Tooltip(f"{x}:Q", title=x_title, format=",~g"),
            alt.Tooltip(f"{y}:Q", title=y_title, format=".2%" if percent else ".4~g"),
        ],
    )
    layers += [base.mark_line().encode(strokeDash=dash), spots]
    # One below the other, since lines that leave the axis do so in one place.
    for index, method in enumerate(worded):
        late = f"datum['{x}'] > {0.75 * x_range[1] if x_range else math.inf}"
        word = base.transform_filter(
            (alt.datum.series == words.title(method)) & (alt.datum.word != "")
        ).mark_text(
            align=alt.expr(f"{late} ? 'right' : 'left'"),
            dx=alt.expr(f"{late} ? -5 : 5"),
            dy=4 + 15 * index,
            baseline="top",
            fontWeight=600,
        )
        ink = theme.color(method, methods.index(method))
        layers.append(word.encode(text="word:N", color=alt.value(ink)))
    return alt.layer(*layers).properties(height=320)


def _x_axis(
    field: str, title: str, x_range: tuple[float, float] | None, places: tuple[float, ...]
) -> alt.X:
    import altair as alt

    if not places:
        scale = alt.Scale(domain=x_range, nice=False) if x_range else alt.Scale(nice=False)
        axis = alt.Axis(tickMinStep=1, format="~s")
    elif min(places) > 0:
        ends = (min(places), max(places))
        scale = alt.Scale(type="log", base=2, nice=False, padding=12, domain=ends)
        axis = alt.Axis(values=places, format="~g", grid=False)
    else:
        scale = alt.Scale(domain=places)
        return alt.X(
            f"{field}:O", title=title, scale=scale, axis=alt.Axis(labelAngle=0, format="~g")
        )
    return alt.X(f"{field}:Q", title=title, scale=scale, axis=axis)


@spec
def _bars_spec(methods: tuple[str, ...], value_title: str, number: str) -> alt.TopLevelMixin:
    import altair as alt

    color, _, _ = _looks(methods)
    base = alt.Chart().encode(
        y=alt.Y("series:N", sort=[words.title(m) for m in methods], title=None),
        x=alt.X("value:Q", title=value_title),
    )
    return alt.layer(
        base.mark_bar().encode(color=color.legend(None)),
        base.mark_text(align="left", dx=6).encode(text=alt.Text("value:Q", format=number)),
    ).properties(height={"step": 36})


@spec
def _dots_spec(
    labels: tuple[str, ...],
    series: tuple[str, ...],
    value_title: str,
    x_range: tuple[float, float],
    percent: bool,
) -> alt.TopLevelMixin:
    import altair as alt

    colors = [theme.NEUTRAL, *(color for color, _, _ in theme.SERIES[:2])]
    shapes = ["diamond", "circle", "triangle-up"]
    scale = alt.Scale(type="linear" if percent else "log", domain=x_range, nice=False)
    # The first tick of a logarithm is where 0 is drawn; the others get the minus of print.
    small = (
        f"datum.value < {1.01 * x_range[0]} ? '0' : replace(format(datum.value, '~e'), '-', '−')"
    )
    axis = alt.Axis(format="~%") if percent else alt.Axis(labelExpr=small, tickCount=8)
    named = alt.Axis(labelLimit=240, labelFontSize=12, labelOverlap=False)
    # Outlines, so that marks in one place are all seen.
    marks = alt.Chart().mark_point(filled=False, size=110, strokeWidth=2.5, opacity=1)
    return marks.encode(
        y=alt.Y("label:N", sort=list(labels), title=None, axis=named),
        x=alt.X("drawn:Q", title=value_title, scale=scale, axis=axis),
        color=alt.Color(
            "series:N",
            scale=alt.Scale(domain=series, range=colors),
            # Beside the names of the rows a telephone has room for one.
            legend=alt.Legend(columns=1, symbolSize=110, rowPadding=0),
            title=None,
        ),
        shape=alt.Shape("series:N", scale=alt.Scale(domain=series, range=shapes), title=None),
        tooltip=[
            alt.Tooltip("label:N", title="row"),
            alt.Tooltip("series:N", title="what"),
            alt.Tooltip("value:Q", title=value_title, format=".2%" if percent else ".2~e"),
        ],
    ).properties(height=theme.HEIGHT)


def _looks(methods: tuple[str, ...]) -> tuple[alt.Color, alt.StrokeDash, alt.Shape]:
    """Colour, dash and marker of each series."""
    import altair as alt

    def scale(domain: Sequence[str], look: Callable[[str, int], Any]) -> alt.Scale:
        return alt.Scale(domain=domain, range=[look(m, i) for i, m in enumerate(methods)])

    titles = [words.title(method) for method in methods]
    return (
        alt.Color("series:N", scale=scale(titles, theme.color), title=None),
        alt.StrokeDash("series:N", scale=scale(titles, theme.dash), title=None),
        # By another column than the colour: one legend would serve both, and without one both
        # lose it.
        alt.Shape("method:N", scale=scale(methods, theme.shape), legend=None),
    )


def row_names(rows: alt.Chart, field: str, **text: Any) -> alt.Chart:
    """A layer with each row's name above its marks, which leaves them the whole width, also on a
    telephone. rows: a chart with y alone; text: of `mark_text`, such as `yOffset`."""
    import altair as alt

    names = rows.transform_aggregate(all="count()", groupby=[field])
    return names.mark_text(align="left", **text).encode(x=alt.value(2), text=f"{field}:N")


# ---- rows ------------------------------------------------------------------------------------


def _methods(data: pd.DataFrame) -> tuple[str, ...]:
    """The series in the order of their first rows."""
    return tuple(data["method"].unique()) if "method" in data else ()


def _titled(data: pd.DataFrame) -> pd.DataFrame:
    """With the names as a legend has them, and the dotted line last: drawn over the others, it
    hides none of them, and none hides it."""
    if not len(data):
        return data
    titled = data.assign(series=[words.title(one) for one in data["method"]])
    return titled.sort_values("method", key=lambda one: one == "none", kind="stable")


def _said(
    data: pd.DataFrame, y: str, top: float, ends: Mapping[str, str]
) -> dict[Hashable, tuple[Hashable, str]]:
    """Method -> the row at which it has a word, and the word: where its line ends, or where it
    leaves the axis."""
    said: dict[Hashable, tuple[Hashable, str]] = {}
    for method in _methods(data):
        own = data.loc[data["method"] == method, y]
        if ends.get(method):
            said[method] = own.index[-1], ends[method]
        elif (own > top).any():
            said[method] = (own > top).idxmax(), "off the axis"
    return said


def _lifted(data: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """For a log axis: each 0 in these columns as `FLOOR`, or as the smallest number above 0."""
    values = data[list(columns)].to_numpy(float)
    if not (values == 0).any():
        return data
    floor = np.min(values, where=values > 0, initial=FLOOR)
    return data.assign(**{name: data[name].replace(0.0, floor) for name in columns})


def round_up(value: float) -> float:
    """The next 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten: axes that seldom change."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value * 0.999
    )


def _ends(data: pd.DataFrame, x: str, y: str, x_title: str, y_title: str, percent: bool) -> str:
    """One sentence per line: where it begins and ends."""
    sentences, show = [], "{:.2%}" if percent else "{:.4g}"
    for method in _methods(data):
        own = data[data["method"] == method]
        first, last = own.iloc[0], own.iloc[-1]
        sentences.append(
            f"{words.title(method)}: {y_title.lower()} from {show.format(first[y])} to "
            f"{show.format(last[y])} ({x_title.lower()} {first[x]:g} to {last[x]:g})."
        )
    return " ".join(sentences)
