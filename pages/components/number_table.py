"""Small tables of numbers, to edit and to look at: highlighted cells are averaged together.

A click on a cell chooses it, and so does editing it; so do, from the keyboard, the two selectors
that `choose` draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from pages.components import charts, controls, theme
from pages.lab import words
from pages.lab.arithmetic import format_table, parse_cell, parse_table

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

Mark = dict[str, Any]  # a cell or a word: its place, its text and how it looks
GAP = 0.35  # between a table and what stands beside it, in cells
MARGIN = 0.75  # for the names of rows, in cells
HEIGHT = 336  # of a picture, in pixels


# ---- to look at ------------------------------------------------------------------------------


def table(
    values: np.ndarray,
    row: str = "E",
    column: str = "F",
    *,
    highlighted: np.ndarray | None = None,
    chosen: tuple[int, int] | None = None,
    below: Mapping[str, np.ndarray] | None = None,
    beside: Mapping[str, np.ndarray] | None = None,
    own_column: int | None = None,
    was: np.ndarray | None = None,
) -> list[Mark]:
    """A table (rows, columns) under the names of its columns, F1 F2 …, beside those of its rows.

    highlighted, chosen, was: as of `cells`. below, beside: title -> one more line of numbers,
    (columns,) or (rows,), such as the means; nothing to click, highlighted in the column or row of
    the chosen cell, or in `own_column`.
    """
    rows, columns = values.shape
    if chosen is not None:
        own_column = chosen[1]
    marks = [
        *(label(f"{column}{number + 1}", left=MARGIN + number) for number in range(columns)),
        *(label(f"{row}{number + 1}", top=1 + number, width=MARGIN) for number in range(rows)),
        *cells(values, highlighted=highlighted, chosen=chosen, was=was),
    ]
    for index, (title, line) in enumerate((below or {}).items()):
        top, on = 1 + rows + GAP + index, np.arange(columns) == own_column
        marks.append(label(title, top=top, width=MARGIN))
        marks += cells(line[None], top=top, highlighted=on, clicks={})
    for index, (title, line) in enumerate((beside or {}).items()):
        left, on = MARGIN + columns + GAP + index, np.arange(rows) == (chosen or [-1])[0]
        marks.append(label(title, left=left))
        marks += cells(line[:, None], left=left, highlighted=on, clicks={})
    return marks


def cells(
    values: np.ndarray,
    *,
    top: float = 1,
    left: float = MARGIN,
    highlighted: np.ndarray | None = None,
    chosen: tuple[int, int] | None = None,
    clicks: Mapping[tuple[int, int], str] | None = None,
    was: np.ndarray | None = None,
) -> list[Mark]:
    """The cells of one table (rows, columns) whose first lies at (top, left), in cells.

    highlighted: as many, True where a cell is averaged with the chosen one.
    clicks: what a click on a cell chooses; "row,column", counted from 1, where not given.
    was: the values before a change, nan where nothing changed.
    """
    on = np.zeros(values.shape) if highlighted is None else highlighted.reshape(values.shape)
    marks = []
    for (row, column), value in np.ndenumerate(values):
        click = f"{row + 1},{column + 1}" if clicks is None else clicks.get((row, column), "")
        mark = label(cell_text(float(value)), top + row, left + column)
        mark |= {"value": float(value), "kind": "highlighted" if on[row, column] else "plain"}
        mark |= {"chosen": chosen == (row, column), "cell": click}
        if was is not None and not np.isnan(was[row, column]):
            mark["was"] = f"was {cell_text(float(was[row, column]))}"
        marks.append(mark)
    return marks


def label(text: str, top: float = 0, left: float = 0, width: float = 1) -> Mark:
    """A word in the place of a cell."""
    place = {"left": left, "right": left + width, "top": top, "bottom": top + 1}
    plain = {"value": 0.0, "kind": "label", "chosen": False, "cell": "", "was": ""}
    return place | plain | {"text": text}


def cell_text(value: float) -> str:
    """A number in few enough characters for a cell: at most two digits after the point."""
    if value and not 0.005 <= abs(value) < 10_000:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return words.minus(f"{mantissa.removesuffix('.0')}e{int(exponent)}")
    digits = 2 if abs(value) < 99.995 else 1 if abs(value) < 999.95 else 0
    text = f"{value:.{digits}f}"
    return words.minus(text.rstrip("0").rstrip(".") if digits else text)


def chart(
    method: str,
    drawn: Mapping[str, Sequence[Mark]],
    summary: str,
    listed: Mapping[str, np.ndarray],
    *more: tuple[dict[str, Any], pd.DataFrame],
    axes: Sequence[str] = ("example", "feature"),
) -> charts.Chart:
    """Pictures of cells side by side. drawn: title -> what stands in it; more: panels after them.

    method: gives the highlighted cells their colour. listed, axes: of the chart's table, which has
    a row per number: its place on the axes, counted from 1, and title -> an array that broadcasts
    to the first.
    """
    color = theme.color(method)
    # All are as high as the highest, so that their rows align.
    rows = max(mark["bottom"] for marks in drawn.values() for mark in marks)
    panels = [
        (
            _cells_spec(title, rows, width(marks), color),
            charts.frame(list(marks)),
        )
        for title, marks in drawn.items()
    ]
    shape = next(iter(listed.values())).shape
    columns = dict(zip(axes, np.indices(shape) + 1, strict=True)) | dict(listed)
    table = {title: np.broadcast_to(of, shape).ravel().tolist() for title, of in columns.items()}
    return charts.Chart((*panels, *more), summary, charts.frame(table))


def width(marks: Sequence[Mark]) -> float:
    """How far a picture goes to the right, in cells."""
    return max(mark["right"] for mark in marks)


@charts.spec
def _cells_spec(title: str, rows: float, columns: float, color: str) -> alt.TopLevelMixin:
    import altair as alt

    across = alt.Scale(domain=(0, columns), nice=False)
    down = alt.Scale(domain=(0, rows), nice=False, reverse=True)
    frame = alt.Chart().encode(
        x=alt.X("left:Q", scale=across, axis=None),
        x2="right:Q",
        y=alt.Y("top:Q", scale=down, axis=None),
        y2="bottom:Q",
    )
    pick = alt.selection_point(name="pick", fields=["cell"], empty=False)
    highlighted = "datum.kind == 'highlighted'"
    boxes = (
        frame.transform_filter("datum.kind != 'label'")
        .mark_rect(stroke=theme.NEUTRAL, strokeWidth=1, fill=color, cursor="pointer")
        .encode(
            fillOpacity=alt.condition(highlighted, alt.value(0.42), alt.value(0.0)),
            tooltip=alt.Tooltip("value:Q", title="value", format=".6~g"),
        )
        .add_params(pick)
    )
    around = [
        frame.transform_filter(condition).mark_rect(fillOpacity=0, stroke=stroke, strokeWidth=3)
        for condition, stroke in (
            ("datum.was", theme.color("changed")),
            ("datum.chosen", "currentColor"),
        )
    ]
    middle = alt.Chart().transform_calculate(
        x="(datum.left + datum.right) / 2",
        # What it was stands under the number.
        y="(datum.top + datum.bottom) / 2 - (datum.was ? 0.17 : 0)",
        under="datum.bottom - 0.22",
    )

    def texts(condition: str, text: str = "text", y: str = "y", **style: Any) -> alt.Chart:
        marks = middle.transform_filter(condition).mark_text(baseline="middle", **style)
        return marks.encode(
            x=alt.X("x:Q", scale=across, axis=None),
            y=alt.Y(f"{y}:Q", scale=down, axis=None),
            text=f"{text}:N",
        )

    return alt.layer(
        boxes,
        *around,
        texts("datum.kind == 'plain'", fontSize=15),
        texts(highlighted, fontWeight="bold", fontSize=15),
        texts("datum.kind == 'label'", fontStyle="italic"),
        texts("datum.was", "was", "under", fontSize=11),
    ).properties(height=HEIGHT, title=title)


# ---- to choose from -------------------------------------------------------------------------


def choose(
    rows: int,
    columns: int,
    row: str = "Example",
    column: str = "Feature",
    title: str = "The chosen cell, by hand",
) -> tuple[int, int]:
    """Which cell is taken apart: the two small selectors that a click on a cell moves too.

    row, column: their labels. title: stands before them. Returns the cell, counted from 0.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        if title:
            st.markdown(f"**{title}**", width="content")
        options: dict[str, Any] = {"on_change": forget_click, "width": "content"}
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


# ---- to edit ---------------------------------------------------------------------------------


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
    name: str, rows: Sequence[int], columns: int, row_name: str, column_name: str
) -> np.ndarray:
    """Draw the table of a setting for the reader to edit, and return its numbers.

    name: a "text" row of `controls.CONTROLS`. rows: how many rows it may have.
    row_name, column_name: "Example", "Feature". A cell that holds no number keeps the one it had,
    and a sentence says so; so does a link whose table cannot be read.
    """
    numbers = table_of(name, rows, columns)
    text = format_table(numbers)
    state = st.session_state.setdefault(f"_{name}", {"turn": 0, "last": None, "base": numbers})
    # The editor keeps what was typed as changes to the table it began with. It begins again where
    # the table came from elsewhere (a link, a button), or the editor was away.
    if state["last"] != text or f"{name}_{state['turn']}" not in st.session_state:
        state.update(turn=state["turn"] + 1, base=numbers, last=text)
    titles = [f"{column_name} {number}" for number in counted(columns)]
    row_names = [f"{row_name} {number}" for number in counted(len(numbers))]
    cells_of = zip(titles, state["base"].T, strict=True)
    frame = charts.frame({title: [f"{cell:.6g}" for cell in of] for title, of in cells_of})
    frame.index = [_short(one) if len(rows) > 1 else row_name for one in row_names]
    text_column = st.column_config.TextColumn
    st.data_editor(
        frame,
        key=f"{name}_{state['turn']}",
        num_rows="fixed",
        column_config={
            "_index": text_column("", disabled=True, width=36),
            **{title: text_column(_short(title), width=60) for title in titles},
        },
        alt=f"{controls.CONTROLS[name].label}: {text.replace('_', ', ')}",
        on_change=_take_edits,
        args=(name, numbers, row_names, titles),
    )
    if refused := state.pop("refused", ""):
        st.warning(refused)
    return numbers


def put_cell(name: str, numbers: np.ndarray, row: int, column: int, value: float) -> np.ndarray:
    """Change one number of the table of a setting; it is then the chosen cell."""
    changed = numbers.copy()
    changed[row, column] = value
    controls.put(name, format_table(changed))
    if len(changed) > 1:
        controls.put("row", str(row + 1))
    controls.put("column", str(column + 1))
    forget_click()
    return changed


def _take_edits(
    name: str, numbers: np.ndarray, row_names: Sequence[str], titles: Sequence[str]
) -> None:
    """What was typed, into the table; what is no number, into a sentence and out of the editor."""
    state = st.session_state[f"_{name}"]
    edits = st.session_state[f"{name}_{state['turn']}"]["edited_rows"]
    for row, title in [(int(row), title) for row, typed in edits.items() for title in typed]:
        column, old = titles.index(title), numbers[int(row), titles.index(title)]
        try:
            value = parse_cell(edits[row][title])
        except ValueError as error:
            where = f"{row_names[row]}, {title.lower()}"
            state["refused"] = f"{where}: {error}. It stays {words.rounded(float(old), 6)}."
            state["last"] = None  # the editor begins again
            continue
        if value != old:
            numbers = put_cell(name, numbers, row, column, value)
            state["last"] = state["last"] and controls.get(name)


def _short(name: str) -> str:
    """`F2` of `Feature 2`."""
    return name[0] + name.split()[-1]
