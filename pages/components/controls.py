"""Every control of the app: one row of `control_table`, one widget, one parameter of the link.

A page names its controls in `page.PAGES`; a lesson draws each with `control("batch")`, which
returns its value. `begin` reads the address bar, which then shows the whole state of the page.

Streamlit 1.67 can bind widgets to the address bar by itself (`bind="query-params"`), but there a
page switch leaves the address bare (streamlit#14350), a value that came by a link does not reach
the next page, one in another number format, or between the marks of a slider, is dropped without a
word, and the marks of a slider go by their labels. So this module does it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from normlib.config import TrainConfig
from pages.components.control_kinds import OFF, ON, Control
from pages.components.control_table import CONTROLS
from pages.components.control_table import FOUR_METHODS as FOUR_METHODS
from pages.lab import words

_ALIASES = {row.config_field: name for name, row in CONTROLS.items() if row.config_field}
# Parameters of the frame around a page, not controls on it.
_FRAME = ("present", "hide", "answers", "lesson")


@dataclass
class _State:
    """What a session keeps between runs and pages."""

    page: str = ""
    controls: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)  # what was asked for, on any page
    replaced: dict[str, Any] = field(default_factory=dict)  # what this page uses in its place
    marks: dict[str, tuple[float, ...]] = field(default_factory=dict)  # of sliders, with a link's
    present: str = ""
    hide: tuple[str, ...] = ()
    answers: bool = False  # whether the link shows them all
    lesson: str = ""  # the one that the link opens
    notices: list[str] = field(default_factory=list)
    addresses: deque[dict[str, str]] = field(default_factory=lambda: deque(maxlen=20))  # ours
    links: dict[str, dict[str, str]] = field(default_factory=dict)  # page -> its link on screen


def _state() -> _State:
    return st.session_state.setdefault("_controls", _State())


# ---- the address bar -------------------------------------------------------------------------


def begin(page: str, controls: Sequence[str], limits: Mapping[str, float] | None = None) -> None:
    """Bring the address bar, the widgets and the session's values together; first in every run.

    The address bar wins when it is news: a new session, another page, back or forward. Otherwise
    the widgets do. `limits`: the upper limits of numbers that differ on this page.
    """
    state = _state()
    moved = page != state.page
    if moved:
        state.page, state.controls, state.limits = page, tuple(controls), limits or {}
        state.replaced, state.notices = {}, []
        state.addresses.clear()
    address = st.query_params.to_dict()
    ours = {key: text for key, text in address.items() if key in CONTROLS or key in _FRAME}
    context = get_script_run_ctx()
    back_or_forward = context is not None and context.is_history_navigation
    # A slider that moves twice in a row arrives with the address of the move before: an address
    # that was written here is no news.
    if moved or back_or_forward or ours not in state.addresses:
        # Whoever follows a link of the app brings along what the session has: a slider may have
        # moved since the link was drawn.
        own_link = not back_or_forward and ours == state.links.get(page)
        state.lesson = ours.get("lesson", "")
        _read_address(state, {} if own_link else address)
        for name in state.controls:
            _show(name)
        # The server knows this address already; the browser may not, where code has set it.
        write_address(always=True)
    else:
        read_widgets()
        write_address()


def read_widgets() -> None:
    """Take over what the widgets show; a fragment that has controls begins with it."""
    for name in _state().controls:
        if name in st.session_state:
            _take_over(name, st.session_state[name])


def write_address(*, always: bool = False) -> None:
    """Let the address bar show the whole state of the page."""
    state = _state()
    ours = link_parameters(state.controls, lesson=state.lesson)
    address = st.query_params.to_dict()
    known = {*_ALIASES, *CONTROLS, *_FRAME}
    others = {key: text for key, text in address.items() if key not in known}
    if always or address != ours | others:
        st.query_params.from_dict(ours | others)
    if ours in state.addresses:
        state.addresses.remove(ours)  # to stand last: twenty are remembered
    state.addresses.append(ours)


def _read_address(state: _State, address: Mapping[str, str]) -> None:
    asked = {_ALIASES.get(key, key): text for key, text in address.items()}
    for name, text in asked.items():
        if name in CONTROLS:
            _read_value(state, _row(name), text)
    for name in state.controls:
        row = _row(name)
        if row.kind in ("int", "float") and get(name) > row.high:
            state.notices.append(
                f"{row.label} was {row.words(get(name))}: "
                f"this page goes up to {row.words(row.high)} and uses that."
            )
            state.replaced[name] = type(row.default)(row.high)
    if "present" in address:
        parts = _parts(address["present"].lower())
        known = [part for part in parts if part in CONTROLS or part in (*ON, *OFF)]
        if known != parts:
            state.notices.append("Present takes on, off, or the names of the controls to keep.")
        state.present = ",".join(known)
    if "answers" in address:
        state.answers = address["answers"].lower() in ON
    if "hide" in address:
        state.hide = tuple(part for part in _parts(address["hide"]) if part in CONTROLS)


def _read_value(state: _State, row: Control, text: str) -> None:
    try:
        _set(row.name, row.parse(text))
    except ValueError as error:
        state.values.pop(row.name, None)
        shown = words.verbatim(" ".join(text[:40].split())) if text.strip() else "empty"
        state.notices.append(
            f"{row.label} cannot be {shown}: {error}. This page uses {row.words(row.default)}."
        )


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[,;| ]", text) if part]


def link_parameters(
    controls: Iterable[str] | None = None,
    values: Mapping[str, Any] | None = None,
    *,
    changed_only: bool = False,
    lesson: str = "",
    framed: bool = True,
) -> dict[str, str]:
    """The parameters of a link that shows these controls, or the page's, as they stand now.

    values: setting name -> value, in place of what this session has; the defaults for the rest.
    changed_only: leave out what is at its default. lesson: the one that goes with it.
    framed: with how this session presents the page.
    """
    state = _state()
    names = state.controls if controls is None else controls
    shown = {name: _value(name, values) for name in names}
    parameters = {
        name: CONTROLS[name].format(value)
        for name, value in shown.items()
        if not changed_only or value != CONTROLS[name].default
    }
    if state.present and framed:
        parameters["present"] = state.present
    if state.hide and framed:
        parameters["hide"] = ",".join(state.hide)
    if state.answers and framed:
        parameters["answers"] = "on"
    if lesson:
        parameters["lesson"] = lesson
    return parameters


def note_link(page: str, parameters: Mapping[str, str]) -> None:
    """Note that a link on screen leads to this page, with the values as they stand now."""
    _state().links[page] = dict(parameters)


def notices() -> list[str]:
    """Sentences about what the link asked for and cannot have; kept until a control is moved."""
    return _state().notices


# ---- presenting ------------------------------------------------------------------------------


def presenting() -> bool:
    """Whether the page is shown to a class: large type, thick lines, few controls."""
    return _state().present not in ("", *OFF)


def set_presenting(on: bool) -> None:
    """Switch the presentation on or off; the next run shows it."""
    _state().present = "on" if on else ""
    write_address()


def shows_answers() -> bool:
    """Whether the link shows the answer of every view (`answers=on`), asked for or not."""
    return _state().answers


def page() -> str:
    """The page that is on screen, by its name."""
    return _state().page


def lesson() -> str:
    """The lesson that the link opens; nothing where it opens a page alone."""
    return _state().lesson


def leave_lesson() -> None:
    """Forget the lesson of the link, where there is none of that name on this page."""
    if _state().lesson:
        _state().lesson = ""
        write_address()


def visible(name: str) -> bool:
    """Whether the link leaves this control on the page (`hide=`, and `present=` with names)."""
    state = _state()
    named = [part for part in _parts(state.present) if part in CONTROLS]
    return name not in state.hide and (not named or name in named)


# ---- values ----------------------------------------------------------------------------------


def get(name: str) -> Any:
    """The value of a setting in this session, drawn on this page or not."""
    state = _state()
    return state.replaced.get(name, state.values.get(name, CONTROLS[name].default))


def _value(name: str, values: Mapping[str, Any] | None) -> Any:
    """The value that is given, or the default; where none are given, that of the session."""
    return get(name) if values is None else values.get(name, CONTROLS[name].default)


def put(name: str, value: Any) -> None:
    """Set a value from code (a preset, a button's callback); the widget and the link follow."""
    _set(name, _row(name).check(value))
    _show(name)
    write_address()


def to_train_config(values: Mapping[str, Any] | None = None, **changes: Any) -> TrainConfig:
    """The training that the settings describe.

    values: setting name -> value; the session's own where None.
    changes: fields of `TrainConfig` that this page decides (`normalization="layer"`).
    Raises `ValueError` with one sentence where the values do not go together.
    """
    fields = {config_field: _value(name, values) for config_field, name in _ALIASES.items()}
    return TrainConfig(**(fields | changes))


def to_train_configs(methods: Iterable[str]) -> tuple[dict[str, TrainConfig], dict[str, str]]:
    """The training of each method, and a sentence for each method the settings do not allow."""
    configs, refused = {}, {}
    for method in methods:
        try:
            configs[method] = to_train_config(normalization=method)
        except ValueError as error:
            refused[method] = str(error)
    return configs, refused


def _set(name: str, value: Any) -> None:
    """What somebody asked for: it stays on the next page too."""
    _state().values[name] = value
    _state().replaced.pop(name, None)


def _row(name: str) -> Control:
    """The table's row with this page's limit in it."""
    limits = _state().limits
    return replace(CONTROLS[name], high=limits[name]) if name in limits else CONTROLS[name]


# ---- widgets ---------------------------------------------------------------------------------


def control(
    name: str,
    place: AbstractContextManager | None = None,
    *,
    label: str = "",
    choices: Sequence[str] = (),
    **widget: Any,
) -> Any:
    """Draw the widget of a setting and return its value; a control the link hides is not drawn.

    place: the column to draw it in. choices: offer only these, in the table's order.
    widget: passed on to the Streamlit widget (`disabled`, `label_visibility`, `width`).
    """
    state = _state()
    if name not in state.controls:
        raise KeyError(f"Name {name!r} among the controls of page {state.page!r} in page.PAGES.")
    row = _row(name)
    if choices:
        row = replace(row, choices={one: row.choices[one] for one in row.choices if one in choices})
        _keep_to(name, tuple(row.choices))  # also where a link hides the control
    if not visible(name):
        return get(name)
    # The value is the widget's default too: a browser that has not drawn an earlier run, because
    # the next one came too soon, takes it from here. Once drawn, a widget keeps its own.
    common = {"label": label or row.label, "key": name, "help": row.help or None, **widget}
    with place or nullcontext():
        _take_over(name, _widget(row, _for_widget(name), common))
    return get(name)


def _keep_to(name: str, allowed: tuple[str, ...]) -> None:
    """Leave only what this page offers in the value, or the first of it."""
    value = get(name)
    if CONTROLS[name].kind == "many":
        # An emptied choice stays empty: the page asks for one.
        kept: Any = tuple(one for one in value if one in allowed) or (value and allowed)
    else:
        kept = value if value in allowed else allowed[0]
    if kept != value:
        _state().replaced[name] = kept
        _show(name)


def _take_over(name: str, shown: Any) -> None:
    """Make what a widget shows the value; an emptied choice keeps the value it had."""
    row = CONTROLS[name]
    if shown is None or (row.kind == "choice" and shown not in row.choices):
        return
    value = tuple(one for one in row.choices if one in shown) if row.kind == "many" else shown
    if value != get(name):
        _set(name, value)
        _state().notices = []


def _show(name: str) -> None:
    """Let a widget that is there already show the value."""
    if name in st.session_state:
        st.session_state[name] = _for_widget(name)


def _for_widget(name: str) -> Any:
    value = get(name)
    return list(value) if CONTROLS[name].kind == "many" else value


def _widget(row: Control, value: Any, common: dict[str, Any]) -> Any:
    """Draw the widget of a row and return what it shows."""
    if row.kind in ("int", "float"):
        kind = type(row.default)
        if row.steps:
            # A value between the marks, from a link, becomes a mark for this session.
            marks = _state().marks
            marks[row.name] = tuple(sorted({*marks.get(row.name, row.steps), value}))
            options = [mark for mark in marks[row.name] if row.low <= mark <= row.high]
            return st.select_slider(options=options, value=value, format_func=row.words, **common)
        common |= {"value": value, "min_value": kind(row.low), "max_value": kind(row.high)}
        if row.widget == "number" or (row.kind == "int" and row.high > 2000):
            return st.number_input(step=kind(1), **common)
        return st.slider(**common)
    if row.choices:
        common |= {"options": list(row.choices), "format_func": row.choices.__getitem__}
        if row.widget == "select":
            return st.selectbox(index=common["options"].index(value), **common)
        if row.kind == "many":
            return st.pills(default=value, selection_mode="multi", **common)
        return st.segmented_control(default=value, required=True, **common)
    return (st.toggle if row.kind == "flag" else st.text_input)(value=value, **common)
