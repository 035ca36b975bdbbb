"""Every control of the app: one row of `setting_table`, one widget, one URL parameter.

A page names its controls in `page.PAGES` and draws each with `control("batch")`, which returns the
value. `page.set_up` calls `begin`, which reads the address bar, then keeps it showing the whole
state of the page. Values travel from page to page in a copy of their own, because Streamlit drops
the state of a widget that the next page does not draw.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from normlib.config import TrainConfig
from pages.components.control_kinds import Control, minus, number
from pages.components.control_table import CONTROLS, FOUR_METHODS, METHOD_TITLES, MISTAKES

# A page needs no other import for its controls and the words about them.
__all__ = [
    "CONTROLS",
    "FOUR_METHODS",
    "METHOD_TITLES",
    "MISTAKES",
    "begin",
    "control",
    "drawn_controls",
    "get",
    "link_parameters",
    "minus",
    "notices",
    "number",
    "offered",
    "presenting",
    "put",
    "set_presenting",
    "taking_in",
    "to_train_config",
    "visible",
]

_ALIASES = {
    setting.config_field: name for name, setting in CONTROLS.items() if setting.config_field
}
_FRAME = ("present", "hide")  # parameters of the frame around a page, not controls on it
_ON, _OFF = ("on", "1", "true", "yes"), ("", "0", "off", "false", "no")


@dataclass
class _State:
    """What a session keeps between runs and pages."""

    page: str = ""
    controls: tuple[str, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    marks: dict[str, tuple[float, ...]] = field(default_factory=dict)
    lent: dict[str, Any] = field(default_factory=dict)  # what this page cannot show, for the next
    present: str = ""
    hide: tuple[str, ...] = ()
    written: list[dict[str, str]] = field(default_factory=list)
    offered: dict[str, dict[str, str]] = field(default_factory=dict)  # page -> its link on screen
    notices: list[str] = field(default_factory=list)
    drawn: set[str] = field(default_factory=set)  # in this run
    drawn_before: set[str] = field(default_factory=set)  # in the run before
    touched: bool = False  # whether a control was moved since the page was opened
    picture_first: bool = False  # the address bar follows when the picture has been sent


def _state() -> _State:
    return st.session_state.setdefault("_settings", _State())


def begin(page: str, controls: Sequence[str], limits: Mapping[str, float] | None = None) -> None:
    """Bring the address bar, the widgets and the session's copy of the values together.

    The address bar wins when it is news: a new session, another page, back or forward. Otherwise
    the widgets do. Called by `page.set_up` before anything is drawn.
    `limits` raises or lowers the upper limit of a number on this page.
    """
    state = _state()
    state.drawn, state.drawn_before = set(), state.drawn
    moved = page != state.page
    if moved:
        state.values |= state.lent
        state.lent = {}
        state.page, state.controls, state.limits = page, tuple(controls), dict(limits or {})
        state.notices, state.written, state.touched = [], [], False
    url = st.query_params.to_dict()
    context = get_script_run_ctx()
    back_or_forward = context is not None and context.is_history_navigation
    # A slider moved twice in a row arrives with the address of the move before: one that was
    # written here is no news.
    if moved or back_or_forward or _managed(url) not in state.written:
        # Whoever comes by a link of the page brings along what the session has: a slider may have
        # moved since the link was drawn.
        came_along = not back_or_forward and _managed(url) == state.offered.get(page)
        _read(state, {} if came_along else url)
        for name in state.controls:
            st.session_state[name] = _for_widget(name)
    else:
        _take_in(state)
    _write_url(state)


@contextmanager
def taking_in() -> Iterator[None]:
    """Around a fragment that has controls: take over what they show, as a page does when it begins.

    The address bar follows when the block ends: it would hold up the picture.
    """
    state = _state()
    state.picture_first = True
    try:
        _take_in(state)
        yield
    finally:
        state.picture_first = False
    _write_url(state)


def _take_in(state: _State) -> None:
    for name in state.controls:
        if name in st.session_state:
            _remember(name, st.session_state[name])


def _managed(url: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in url.items() if key in CONTROLS or key in _FRAME}


def _row(name: str) -> Control:
    """The table's row with this page's limit in it."""
    setting = CONTROLS[name]
    high = _state().limits.get(name)
    return setting if high is None else Control(**(vars(setting) | {"high": high}))


def _read(state: _State, url: Mapping[str, str]) -> None:
    for key, text in url.items():
        name = _ALIASES.get(key, key)
        if name not in CONTROLS:
            continue
        setting = _row(name)
        try:
            _set(name, setting.parse(text))
        except ValueError as error:
            state.values.pop(name, None)
            shown = re.sub(r"[^\w.,+\- ]", "?", text[:40])
            state.notices.append(
                f"{setting.label} cannot be “{shown}”: {error}. "
                f"This page uses {setting.words(setting.default)}."
            )
    for name in state.controls:
        setting = _row(name)
        if setting.kind in ("int", "float") and get(name) > setting.high:
            state.notices.append(
                f"{setting.label} was {setting.words(get(name))}: "
                f"this page goes up to {setting.words(setting.high)} and uses that."
            )
            _show_instead(name, type(setting.default)(setting.high))
    if "present" in url:
        parts = _parts(url["present"].lower())
        known = [part for part in parts if part in CONTROLS or part in (*_ON, *_OFF)]
        if known != parts:
            state.notices.append("Present takes on, off, or the names of the controls to keep.")
        state.present = ",".join(known)
    hide = url.get("hide")
    if hide is not None:
        state.hide = tuple(part for part in _parts(hide) if part in CONTROLS)


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[,;| ]", text) if part]


def _write_url(state: _State) -> None:
    if state.picture_first:
        return
    ours = link_parameters(state.controls)
    others = {
        key: text
        for key, text in st.query_params.to_dict().items()
        if key not in _ALIASES and key not in CONTROLS and key not in _FRAME
    }
    if st.query_params.to_dict() != ours | others:
        st.query_params.from_dict(ours | others)
    if ours not in state.written:
        state.written = [*state.written[-19:], ours]


def link_parameters(
    controls: Iterable[str],
    values: Mapping[str, Any] | None = None,
    *,
    changed_only: bool = False,
) -> dict[str, str]:
    """The URL parameters that show these controls as they stand now.

    values: setting name -> value, in place of what this session has; the defaults for the rest.
    changed_only: leave out what is at its default.
    """
    state = _state()
    shown = {
        name: get(name) if values is None else values.get(name, CONTROLS[name].default)
        for name in controls
    }
    parameters = {
        name: CONTROLS[name].format(value)
        for name, value in shown.items()
        if not changed_only or value != CONTROLS[name].default
    }
    if state.present:
        parameters["present"] = state.present
    if state.hide:
        parameters["hide"] = ",".join(state.hide)
    return parameters


def offered(page: str, parameters: Mapping[str, str]) -> None:
    """Note that a link on screen leads to this page, with the values as they stand now."""
    _state().offered[page] = dict(parameters)


def drawn_controls() -> tuple[str, ...]:
    """The settings of the page on screen, in the order of its link."""
    return _state().controls


def notices() -> list[str]:
    """Sentences about what the link asked for and cannot have; kept until a control is moved."""
    return _state().notices


def presenting() -> bool:
    """Whether the page is shown to a class: large type, thick lines, few controls."""
    return _state().present not in _OFF


def set_presenting(on: bool) -> None:
    """Switch the presentation on or off; the next run shows it."""
    state = _state()
    state.present = "on" if on else ""
    _write_url(state)


def visible(name: str) -> bool:
    """Whether the link leaves this control on the page (`hide=`, and `present=` with names)."""
    state = _state()
    named = [part for part in _parts(state.present) if part in CONTROLS]
    return name not in state.hide and (not named or name in named)


def get(name: str) -> Any:
    """The value of a setting in this session, drawn on this page or not."""
    return _state().values.get(name, CONTROLS[name].default)


def put(name: str, value: Any) -> None:
    """Set a value from code (a preset, a button's callback); the widget and the link follow."""
    state = _state()
    _set(name, _row(name).check(value))
    if name in state.controls:
        st.session_state[name] = _for_widget(name)
    _write_url(state)


def control(name: str, *, label: str = "", choices: Sequence[str] = (), **widget: Any) -> Any:
    """Draw the widget of a setting and return its value; a control the link hides is not drawn.

    choices: offer only these, in the table's order.
    widget: passed on to the Streamlit widget (`disabled`, `label_visibility`, `width`).
    """
    state = _state()
    if name not in state.controls:
        raise KeyError(f"Name {name!r} among the controls of page {state.page!r} in page.PAGES.")
    if not visible(name):
        return get(name)
    setting = _row(name)
    if choices:
        _keep_to(name, tuple(one for one in setting.choices if one in choices))
        setting = Control(
            **(vars(setting) | {"choices": {one: setting.choices[one] for one in choices}})
        )
    # Streamlit tells the browser of a value only in the run that set it. A widget that first
    # appears in a later run (a view was opened) would show its lowest value instead; so would one
    # whose first run gives way to another before the browser has drawn it, as while a page opens.
    shown_before = name in state.drawn | state.drawn_before and name in st.session_state
    if not (state.touched and shown_before):
        st.session_state[name] = _for_widget(name)
    state.drawn.add(name)
    value = _WIDGETS[setting.widget or _usual_widget(setting)](
        setting,
        {"label": label or setting.label, "key": name, "help": setting.help or None, **widget},
    )
    _remember(name, value)  # in a fragment, `begin` has not seen it
    return get(name)


def _keep_to(name: str, allowed: tuple[str, ...]) -> None:
    """Leave only what this page offers in the value, or the first of it."""
    state = _state()
    if CONTROLS[name].kind == "many":
        # An emptied choice stays empty: the page asks for one.
        kept: Any = tuple(one for one in get(name) if one in allowed) or (get(name) and allowed)
    else:
        kept = get(name) if get(name) in allowed else allowed[0]
    if kept != get(name):
        _show_instead(name, kept)
        st.session_state[name] = _for_widget(name)
        _write_url(state)


def _set(name: str, value: Any) -> None:
    """What somebody asked for: it stays on the next page too."""
    state = _state()
    state.values[name] = value
    state.lent.pop(name, None)


def _show_instead(name: str, value: Any) -> None:
    """Use this value where the page cannot show the session's own; the next page gets that back."""
    state = _state()
    state.lent.setdefault(name, get(name))
    state.values[name] = value


def _remember(name: str, shown: Any) -> None:
    """Take over what a widget shows; an emptied choice keeps the value it had."""
    state = _state()
    setting = CONTROLS[name]
    if shown is None or (setting.kind == "choice" and shown not in setting.choices):
        return
    value = (
        tuple(one for one in setting.choices if one in shown) if setting.kind == "many" else shown
    )
    if value != get(name):
        _set(name, value)
        state.notices, state.touched = [], True
        _write_url(state)


def _for_widget(name: str) -> Any:
    value = get(name)
    return list(value) if CONTROLS[name].kind == "many" else value


def _usual_widget(setting: Control) -> str:
    if setting.steps:
        return "steps"
    if setting.kind == "choice":
        return "segments"
    if setting.kind == "int" and setting.high > 2000:
        return "number"
    return {"int": "slider", "float": "slider", "many": "pills", "flag": "toggle"}.get(
        setting.kind, "text"
    )


def _slider(setting: Control, common: dict[str, Any]) -> Any:
    kind = type(setting.default)
    return st.slider(min_value=kind(setting.low), max_value=kind(setting.high), **common)


def _steps(setting: Control, common: dict[str, Any]) -> Any:
    """A slider over marks; a value between them, from a link, becomes a mark for this session."""
    marks = _state().marks
    value = get(setting.name)
    known = marks.get(setting.name, setting.steps)
    if value not in known:
        known = marks[setting.name] = tuple(sorted({*known, value}))
    options = [mark for mark in known if setting.low <= mark <= setting.high]
    return st.select_slider(options=options, format_func=setting.words, **common)


def _number(setting: Control, common: dict[str, Any]) -> Any:
    kind = type(setting.default)
    return st.number_input(
        min_value=kind(setting.low), max_value=kind(setting.high), step=kind(1), **common
    )


_WIDGETS: dict[str, Callable[[Control, dict[str, Any]], Any]] = {
    "slider": _slider,
    "steps": _steps,
    "number": _number,
    "segments": lambda setting, common: st.segmented_control(
        options=list(setting.choices),
        format_func=setting.choices.__getitem__,
        required=True,
        **common,
    ),
    "select": lambda setting, common: st.selectbox(
        options=list(setting.choices), format_func=setting.choices.__getitem__, **common
    ),
    "pills": lambda setting, common: st.pills(
        options=list(setting.choices),
        format_func=setting.choices.__getitem__,
        selection_mode="multi",
        **common,
    ),
    "toggle": lambda setting, common: st.toggle(**common),
    "text": lambda setting, common: st.text_input(**common),
}


def to_train_config(values: Mapping[str, Any] | None = None, **changes: Any) -> TrainConfig:
    """The training that the settings describe.

    values: setting name -> value; the session's own where None.
    changes: fields of `TrainConfig` that this page decides (`normalization="layer"`).
    Raises `ValueError` with one sentence where the values do not go together.
    """
    fields = {
        setting.config_field: get(name) if values is None else values.get(name, setting.default)
        for name, setting in CONTROLS.items()
        if setting.config_field
    }
    return TrainConfig(**(fields | changes))
