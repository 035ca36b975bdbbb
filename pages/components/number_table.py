"""Small tables of numbers, to edit and to look at: the cells averaged together are lit.

A click on a cell chooses it. What a click can do, two small selectors beside the picture do too,
for those who use the keyboard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from pages.components import charts, controls, theme
from pages.lab.arithmetic import format_table, parse_cell, parse_table, shown

if TYPE_CHECKING:
    import altair as alt

_HEAD = "M0,0L0.55,1.3L-0.55,1.3Z"  # of an arrow that points up and ends in its tip
GAP = 0.35  # between a table and what stands beside it, in cells


def cells(
    values: np.ndarray,
    *,
    top: float = 1,
    left: float = 1,
    lit: np.ndarray | None = None,
    chosen: tuple[int, int] | None = None,
    names: Mapping[tuple[int, int], str] | None = None,
) -> list[dict[str, Any]]:
    """The cells of one table (rows, columns) whose first lies at (top, left), in cells.

    lit: (rows, columns), True where a cell is averaged with the chosen one.
    names: what a click on a cell chooses; "row,column", counted from 1, where not given.
    """
    rows = []
    for (row, column), value in np.ndenumerate(np.atleast_2d(values)):
        name = f"{row + 1},{column + 1}" if names is None else names.get((row, column), "")
        rows.append(
            {
                "left": left + column,
                "right": left + column + 1,
                "top": top + row,
                "bottom": top + row + 1,
                "text": short(float(value)),
                "value": float(value),
                "kind": "lit" if lit is not None and np.atleast_2d(lit)[row, column] else "plain",
                "chosen": chosen == (row, column),
                "cell": name,
            }
        )
    return rows


def short(value: float) -> str:
    """A number in few enough characters for a cell: at most two digits after the point."""
    if value == 0 or 0.005 <= abs(value) < 10_000:
        digits = 2 if abs(value) < 99.995 else 1 if abs(value) < 999.95 else 0
        text = f"{value:.{digits}f}"
        return controls.minus(text.rstrip("0").rstrip(".") if digits else text)
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return controls.minus(f"{mantissa.removesuffix('.0')}e{int(exponent)}")


def labels(
    texts: Sequence[str],
    *,
    top: float = 0,
    left: float = 0,
    down: bool = False,
    width: float = 1,
) -> list[dict[str, Any]]:
    """Words in the places of cells, from (top, left) to the right, or down."""
    rows = []
    for index, text in enumerate(texts):
        y, x = (top + index, left) if down else (top, left + index)
        place = {"left": x, "right": x + width, "top": y, "bottom": y + 1}
        rows.append(place | {"text": text, "value": 0.0, "kind": "label", "chosen": False})
        rows[-1]["cell"] = ""
    return rows


def panel(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    size: tuple[float, float],
    color: str,
) -> tuple[dict[str, Any], Any]:
    """One picture of cells, for `charts.Chart`. size: (rows, columns) of the whole, in cells."""
    spec = _cells_spec(title, size, color, controls.presenting())
    return spec, charts.frame(list(rows))


@charts.spec
def _cells_spec(
    title: str, size: tuple[float, float], color: str, presenting: bool
) -> alt.TopLevelMixin:
    import altair as alt

    rows, columns = size
    across = alt.Scale(domain=(0, columns), nice=False)
    down = alt.Scale(domain=(0, rows), nice=False, reverse=True)
    place = {
        "x": alt.X("left:Q", scale=across, axis=None),
        "x2": "right:Q",
        "y": alt.Y("top:Q", scale=down, axis=None),
        "y2": "bottom:Q",
    }
    frame = alt.Chart().encode(**place)
    pick = alt.selection_point(name="pick", fields=["cell"], empty=False)
    lit = "datum.kind == 'lit'"
    boxes = (
        frame.transform_filter("datum.kind != 'label'")
        .mark_rect(stroke=theme.NEUTRAL, strokeWidth=1, fill=color, cursor="pointer")
        .encode(
            fillOpacity=alt.condition(lit, alt.value(0.42), alt.value(0.0)),
            tooltip=alt.Tooltip("value:Q", title="value", format=".6~g"),
        )
        .add_params(pick)
    )
    around = frame.transform_filter("datum.chosen").mark_rect(
        fillOpacity=0, stroke="currentColor", strokeWidth=5 if presenting else 3
    )
    middle = alt.Chart().transform_calculate(
        x="(datum.left + datum.right) / 2", y="(datum.top + datum.bottom) / 2"
    )

    def words(condition: str, **style: Any) -> alt.Chart:
        return (
            middle.transform_filter(condition)
            .mark_text(baseline="middle", **style)
            .encode(
                x=alt.X("x:Q", scale=across, axis=None),
                y=alt.Y("y:Q", scale=down, axis=None),
                text="text:N",
            )
        )

    # Three tables side by side leave a cell no room for the large type of a presentation.
    number = {"fontSize": 16} if presenting else {}
    return alt.layer(
        boxes,
        around,
        words("datum.kind == 'plain'", **number),
        words(lit, fontWeight="bold", **number),
        words("datum.kind == 'label'", fontStyle="italic"),
    ).properties(height=round(rows * (46 if presenting else 32)), title=title)


def choose(
    rows: int, columns: int, row: str = "Example", column: str = "Feature"
) -> tuple[int, int]:
    """Which cell is taken apart: the two small selectors that a click on a cell moves too.

    row, column: their labels. Returns the cell, counted from 0.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("The chosen cell, by hand", anchor=False, width="content")
        options = {"on_change": forget_click, "width": "content"}
        first = controls.control("row", label=row, choices=counted(rows), **options)
        second = controls.control("column", label=column, choices=counted(columns), **options)
    return int(first) - 1, int(second) - 1


def counted(count: int) -> tuple[str, ...]:
    """The choices "1" to `count`."""
    return tuple(str(number + 1) for number in range(count))


def chart_key(name: str) -> str:
    """The key of a chart to click on."""
    return f"{name}{st.session_state.get('_charts', 0)}"


def forget_click() -> None:
    """A chart ignores a second click on the cell it remembers, so it is drawn as a new one."""
    st.session_state["_charts"] = st.session_state.get("_charts", 0) + 1


def take_click(panel_key: str) -> None:
    """Choose the cell that was clicked on this panel: `row,column` or `row,position,column`."""
    event = st.session_state.get(panel_key) or {}
    for picked in event.get("selection", {}).get("pick", []):
        places = picked.get("cell", "").split(",")
        names = ("row", "column") if len(places) == 2 else ("row", "at", "column")
        for name, place in zip(names, places, strict=False):
            if place:
                controls.put(name, place)


def table_of(name: str, rows: Sequence[int], columns: int) -> np.ndarray:
    """The numbers of a "text" row of `controls.CONTROLS`; a sentence where a link has no such."""
    setting = controls.CONTROLS[name]
    try:
        return parse_table(controls.get(name), rows, columns)
    except ValueError as error:
        st.warning(
            f"The link's {setting.label.lower()} cannot be used. {error} This page uses another."
        )
        controls.put(name, setting.default)
        return parse_table(setting.default, rows, columns)


def edit(
    name: str,
    rows: Sequence[int],
    columns: int,
    row_name: str,
    column_name: str,
    help: str = "",
) -> np.ndarray:
    """Draw the table of a setting for the reader to edit, and return its numbers.

    name: a "text" row of `controls.CONTROLS`. rows: how many rows it may have.
    row_name, column_name: "Example", "Feature". A cell that holds no number keeps the one it had,
    and a sentence says so; so does a link whose table cannot be read.
    """
    table = table_of(name, rows, columns)
    text = format_table(table)
    state = st.session_state.setdefault(f"_{name}", {"turn": 0, "last": None, "base": table})
    # The editor keeps what was typed as changes to the table it began with. It begins again where
    # the table came from elsewhere (a link, a button), or the editor was away.
    if state["last"] != text or f"{name}_{state['turn']}" not in st.session_state:
        state.update(turn=state["turn"] + 1, base=table)
    column_names = [f"{column_name} {column + 1}" for column in range(columns)]
    frame = charts.frame(
        {
            title: [f"{value:.6g}" for value in state["base"][:, column]]
            for column, title in enumerate(column_names)
        }
    )
    row_names = [f"{row_name} {row + 1}" for row in range(len(table))]
    frame.index = [
        f"{row_name[0]}{row + 1}" if len(rows) > 1 else row_name for row in range(len(table))
    ]
    edited = st.data_editor(
        frame,
        key=f"{name}_{state['turn']}",
        num_rows="fixed",
        column_config={
            "_index": st.column_config.TextColumn("", disabled=True, width=36),
            **{
                title: st.column_config.TextColumn(f"{column_name[0]}{column + 1}", width=60)
                for column, title in enumerate(column_names)
            },
        },
        alt=f"{controls.CONTROLS[name].label}: {text.replace('_', ', ')}",
    )
    table, sentences = read(edited.to_numpy(), table, row_names, column_names)
    for sentence in sentences:
        st.warning(sentence)
    state["last"] = format_table(table)
    if state["last"] != controls.get(name):
        controls.put(name, state["last"])
    if help:
        st.caption(help)
    return table


def read(
    typed: np.ndarray, before: np.ndarray, row_names: Sequence[str], column_names: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """The numbers in cells of text, and a sentence for each cell that holds none.

    typed: (rows, columns) of str or None. before: the numbers such a cell keeps.
    """
    table, sentences = before.copy(), []
    for (row, column), text in np.ndenumerate(typed):
        try:
            table[row, column] = parse_cell(text)
        except ValueError as error:
            where = f"{row_names[row]}, {column_names[column].lower()}".strip(" ,")
            sentences.append(f"{where}: {error}. It stays {shown(before[row, column], 6)}.")
    return table, sentences


def arrows(
    title: str, rows: Sequence[Mapping[str, Any]], thick: str = "", size: int = 210
) -> tuple[dict[str, Any], Any]:
    """Arrows from (x0, y0), the origin where not given, to (x, y) on a square, for `charts.Chart`.

    rows: series (its name is written at the tip), x, y, and x0, y0; group (what has one colour,
    at most four) is the last character of the name where not given.
    thick: what the names of the arrows drawn thick begin with.
    """
    data = charts.frame(list(rows))
    for start in ("x0", "y0"):
        data[start] = data[start].fillna(0.0) if start in data else 0.0
    reach = charts.round_up(1.15 * float(np.abs(data[["x", "y", "x0", "y0"]].to_numpy()).max()))
    # Angles in Vega are degrees clockwise from straight up.
    data["turn"] = np.degrees(np.arctan2(data["x"] - data["x0"], data["y"] - data["y0"]))
    data["full"] = [not thick or name.startswith(thick) for name in data["series"]]
    if "group" not in data:
        data["group"] = [name[-1] for name in data["series"]]
    # A name stands at the tip, or, where the arrow begins at another's tip, at its middle.
    middle = (data["x0"] != 0) | (data["y0"] != 0)
    for end, start in (("x", "x0"), ("y", "y0")):
        data[f"{end}_name"] = np.where(middle, (data[end] + data[start]) / 2, data[end])
    data["moves"] = (data["x"] != data["x0"]) | (data["y"] != data["y0"])
    size = round(1.4 * size) if controls.presenting() else size
    spec = _arrows_spec(title, reach, tuple(dict.fromkeys(data["group"])), size)
    return spec, data


@charts.spec
def _arrows_spec(title: str, reach: float, groups: tuple[str, ...], size: int) -> alt.TopLevelMixin:
    import altair as alt

    scale = alt.Scale(domain=(-reach, reach), nice=False)
    axis = alt.Axis(tickCount=5, format="~g")
    palette = [theme.COLORS[name] for name in ("batch", "weight", "layer", "group")]
    base = alt.Chart().encode(
        color=alt.Color(
            "group:N",
            legend=None,
            scale=alt.Scale(domain=groups, range=palette[: len(groups)]),
        ),
        tooltip=["series:N", alt.Tooltip("x:Q", format=".4~g"), alt.Tooltip("y:Q", format=".4~g")],
    )
    start = {
        "x": alt.X("x0:Q", scale=scale, title=None, axis=axis),
        "y": alt.Y("y0:Q", scale=scale, title=None, axis=axis),
    }
    tip = {"x": alt.X("x:Q", scale=scale, title=None), "y": alt.Y("y:Q", scale=scale, title=None)}
    shaft = base.mark_rule().encode(
        **start,
        x2="x:Q",
        y2="y:Q",
        strokeWidth=alt.condition("datum.full", alt.value(4), alt.value(1.8)),
        strokeDash=alt.condition("datum.full", alt.value([1, 0]), alt.value([5, 3])),
    )
    head = (
        base.transform_filter("datum.moves")
        .mark_point(shape=_HEAD, filled=True, size=360, opacity=1)
        .encode(**tip, angle=alt.Angle("turn:Q", scale=None))
    )
    name = (
        alt.Chart()
        .mark_text(dx=8, dy=-10, align="left", fontWeight="bold")
        .encode(
            x=alt.X("x_name:Q", scale=scale, title=None),
            y=alt.Y("y_name:Q", scale=scale, title=None),
            text="series:N",
        )
    )
    return alt.layer(shaft, head, name).properties(width=size, height=size, title=title)


def relu(title: str, values: np.ndarray) -> tuple[dict[str, Any], Any]:
    """Numbers on the curve of ReLU: crosses where they are cut, dots where they pass."""
    values = np.asarray(values, float)
    low, high = (
        charts.round_up(1.1 * max(0.0, float(end))) for end in (-values.min(), values.max())
    )
    high, low = max(high, low / 4), max(low, high / 4)
    data = charts.frame(
        {
            "value": values,
            "after": np.maximum(values, 0),
            "fate": ["cut to 0" if value < 0 else "passes" for value in values],
        }
    )
    return _relu_spec(title, low, high), data


@charts.spec
def _relu_spec(title: str, low: float, high: float) -> alt.TopLevelMixin:
    import altair as alt

    across = alt.X("value:Q", title="before ReLU", scale=alt.Scale(domain=(-low, high), nice=False))
    up = alt.Y("after:Q", title="after", scale=alt.Scale(domain=(-high / 12, high), nice=False))
    fates = ["cut to 0", "passes"]
    curve = [
        alt.Chart()
        .transform_aggregate(one="count()")
        .mark_rule(color=theme.NEUTRAL, strokeWidth=2)
        .encode(
            x=alt.datum(start[0]), y=alt.datum(start[1]), x2=alt.datum(end[0]), y2=alt.datum(end[1])
        )
        for start, end in (((-low, 0.0), (0.0, 0.0)), ((0.0, 0.0), (high, high)))
    ]
    points = (
        alt.Chart()
        .mark_point(filled=False, size=130, strokeWidth=3, opacity=0.85)
        .encode(
            x=across,
            y=up,
            color=alt.Color(
                "fate:N",
                title=None,
                scale=alt.Scale(
                    domain=fates, range=[theme.COLORS["weight"], theme.COLORS["batch"]]
                ),
            ),
            shape=alt.Shape(
                "fate:N", title=None, scale=alt.Scale(domain=fates, range=["cross", "circle"])
            ),
            tooltip=[
                alt.Tooltip("value:Q", title="before", format=".4~g"),
                alt.Tooltip("after:Q", format=".4~g"),
            ],
        )
    )
    return alt.layer(*curve, points).properties(height=260, title=title)


def signed_bars(
    title: str, rows: Sequence[tuple[str, float]], reach: float, value_title: str
) -> tuple[dict[str, Any], Any]:
    """One bar to the left or right of 0 for each (label, value), the last one set off as the sum.

    reach: how far the axis goes both ways; the same for every cell, so that bars can be compared.
    """
    data = charts.frame(
        {
            "label": [label for label, _ in rows],
            "value": [value for _, value in rows],
            "text": [controls.minus(shown(value, 3)) for _, value in rows],
            "sign": ["positive" if value >= 0 else "negative" for _, value in rows],
            "sum": [index == len(rows) - 1 for index in range(len(rows))],
        }
    )
    labels = tuple(label for label, _ in rows)
    return _signed_bars_spec(title, labels, charts.round_up(1.3 * reach), value_title), data


@charts.spec
def _signed_bars_spec(
    title: str, labels: tuple[str, ...], reach: float, value_title: str
) -> alt.TopLevelMixin:
    import altair as alt

    base = alt.Chart().encode(
        y=alt.Y("label:N", sort=list(labels), title=None, axis=alt.Axis(labelLimit=160)),
        x=alt.X(
            "value:Q",
            title=value_title,
            scale=alt.Scale(domain=(-reach, reach), nice=False),
            axis=alt.Axis(values=[-reach / 2, 0, reach / 2], format="~g"),
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
    words = [one.encode(text="text:N") for one in (right, left)]
    return alt.layer(bars, zero, *words).properties(height={"step": 44}, title=title)
