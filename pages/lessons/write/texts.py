"""The texts that a browser writes: kept on the server for it, edited, taken away as files."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from normlib.exercises import TITLES
from normlib.exercises.files import IMPORT, assignment, part_of, source_of
from pages.components import trainings

if TYPE_CHECKING:
    from normlib.exercises import Exercise

MOST_BROWSERS, MOST_CHARACTERS = 1_000, 10_000  # so that all texts together stay below 120 MB


@dataclass
class Shelf:
    """What one browser has written and solved: a reload and another page leave it as it is."""

    texts: dict[str, str] = field(default_factory=dict)
    solved: set[str] = field(default_factory=set)


@st.cache_resource(show_spinner=False)
def _shelves() -> OrderedDict[str, Shelf]:
    return OrderedDict()


def shelf() -> Shelf:
    """That of this browser."""
    shelves, browser = _shelves(), trainings.session()
    own = shelves.setdefault(browser, Shelf())
    shelves.move_to_end(browser)
    if len(shelves) > MOST_BROWSERS:
        shelves.popitem(last=False)
    return own


def put(exercise: str, text: str) -> None:
    """Let this be the text of an exercise, in the editor too."""
    shelf().texts[exercise] = text
    if _key(exercise) in st.session_state:
        st.session_state[_key(exercise)] = text


def editor(exercise: Exercise) -> str:
    """Draw the editor; returns its text."""
    st.html(_STYLE)
    with st.container(key="own_text"):
        return st.text_area(
            "Your function; `tf` is there",
            shelf().texts.get(exercise.name, exercise.starter),
            key=_key(exercise.name),
            height=270,
            max_chars=MOST_CHARACTERS,
            on_change=_keep,
            args=(exercise.name,),
        )


def _key(exercise: str) -> str:
    return f"_own_{exercise}"


def _keep(exercise: str) -> None:
    shelf().texts[exercise] = st.session_state[_key(exercise)]


_STYLE = """<style>
.st-key-own_text textarea {
  font-family: monospace; font-size: .85rem; line-height: 1.4; white-space: pre; overflow-x: auto;
}
</style>"""


def files() -> None:
    with st.expander("As a file", icon=":material/download:"):
        with st.container(horizontal=True):
            for suffix in (".py", ".ipynb"):
                st.download_button(
                    f"All twelve ({suffix})",
                    partial(assignment, suffix, dict(shelf().texts)),  # when it is pressed
                    f"normalizations{suffix}",
                    on_click="ignore",
                    icon=":material/download:",
                )
        st.caption("At home, `python -m normlib check normalizations.py` runs the same checks.")
        uploaded = st.file_uploader("Bring a file back", type=["py", "ipynb"], key="_own_file")
        if uploaded is not None:
            st.button("Use it", on_click=_use, args=(uploaded.name, uploaded.getvalue()))
        if told := st.session_state.pop("_own_told", ""):
            st.markdown(told)


def _use(name: str, content: bytes) -> None:
    """Take every exercise that the file has, with the functions that it uses."""
    try:
        if len(content) > 20 * MOST_CHARACTERS:
            raise ValueError(f"{name} is too large.")
        text = source_of(name, content.decode())
    except UnicodeDecodeError:
        st.session_state["_own_told"] = f"{name} is not a text."
    except ValueError as error:
        st.session_state["_own_told"] = str(error)
    else:
        found = {one: part for one in TITLES if (part := part_of(text, one))}
        for exercise, part in found.items():
            put(exercise, part.removeprefix(IMPORT).lstrip()[:MOST_CHARACTERS])
        st.session_state["_own_told"] = f"{len(found)} of {len(TITLES)} functions are in {name}."
