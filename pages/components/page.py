"""What every page does first, and the frame around it: navigation, data, link, presentation.

A page is its lessons:

    from pages.components import page
    from pages.lessons.step_by_step import convolution, table

    page.show("steps", {"table": table, "convolution": convolution})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from html import escape
from typing import Any, Literal, Protocol

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from normlib.config import METHODS
from pages.components import (
    classroom,
    controls,
    data_choice,
    lesson_list,
    navigation,
    server,
    turns,
)
from pages.components.lesson_list import Options, leading, options_of, valued, which, within
from pages.components.navigation import PAGES, ROOT, TRAINING, Page, address, link
from pages.lab import words

__all__ = [
    "PAGES",
    "ROOT",
    "TRAINING",
    "Options",
    "Page",
    "address",
    "leading",
    "link",
    "options_of",
    "valued",
    "which",
    "within",
]
MOST_METHODS = 4
# The block on the home page. The browser would fetch a Material icon from another server.
TAB_ICON = "🧊"


class Lesson(Protocol):
    """One lesson: a module of `pages.lessons`.

    A lesson that has something to show before TensorFlow is loaded sets WAITS = True and calls
    `server.wait_for_tensorflow` itself. OPTIONS are the possible answers to its question, each with
    whether it holds for what the lesson told `answer`.
    """

    @property
    def QUESTION(self) -> str | Callable[[], str]: ...

    def show(self) -> None: ...


def show(name: str, lessons: Mapping[str, Lesson]) -> None:
    """Show a page of `PAGES`: its frame, the choice of lesson, the question, the lesson.

    lessons: value of the page's first control -> lesson; a single one needs no choice.
    """
    with turns.take(f"frame of {name}"):
        _frame(name)
        presented = controls.presenting()

        @st.fragment  # a moved control draws the page again, and not the side bar
        def body() -> None:
            with turns.take(f"page {name}"):
                controls.read_widgets()
                try:
                    _body(PAGES[name], lessons)
                finally:
                    controls.write_address()
                foot = f'<p class="on-paper">{escape(address())}</p>{classroom.cookie()}'
                st.html(foot, unsafe_allow_javascript=True)
                if controls.presenting() != presented:
                    st.rerun()

        body()


def _body(page: Page, lessons: Mapping[str, Lesson]) -> None:
    key = controls.get(page.controls[0]) if page.views else next(iter(lessons))
    lesson = lessons[key]
    question, options = lesson.QUESTION, getattr(lesson, "OPTIONS", {})
    view = lesson_list.of_view(
        *(page.name, key, question if isinstance(question, str) else question()),
        options() if callable(options) else options,
    )
    asked = lesson_list.current(page.name) or classroom.asked(view)
    st.session_state.update({"_facts": {}, "_view": view, "_asked": asked})
    # Together, so that a notice which goes moves nothing else to another place: a browser would
    # build the lesson's controls anew, under the hand of whoever drags one.
    with st.container(gap="xsmall"):
        _head(page, choose=page.views and not lesson_list.current(page.name), view=view)
        notices()
        if asked and classroom.holds_back(asked):
            classroom.show_question(asked)
            return
        with st.container(key="question", gap="xsmall"):
            if asked:
                revealed = classroom.show_bar(asked)
                verdict = lesson_list.show_bar(asked) if revealed is None else revealed[0]
            else:
                st.markdown(f"**{view.question}**")
    if not getattr(lesson, "WAITS", False):
        server.wait_for_tensorflow()
    lesson.show()
    if asked and revealed:
        classroom.tell(asked, revealed, st.session_state["_facts"])
    elif asked:
        lesson_list.show_verdict(asked, verdict, st.session_state["_facts"])


def set_up(name: str) -> None:
    """Set up a page of `PAGES` that has no lessons; the first call of its script.

    It starts the loading of TensorFlow and does not wait for it.
    """
    _frame(name)
    _head(PAGES[name], choose=False)
    notices()


def notices() -> None:
    """What the link asked for and cannot have."""
    for sentence in controls.notices():
        st.warning(sentence, icon=":material/link_off:")


def _frame(name: str) -> None:
    """Tab title and side bar."""
    page = PAGES[name]
    server.warm_up()
    classroom.begin()
    controls.begin(name, page.controls, page.limits)
    if not lesson_list.current(name):
        controls.leave_lesson()
    presenting = controls.presenting()
    st.set_page_config(
        page_title=page.title if name == "home" else f"{page.title} · Normalization Lab",
        page_icon=TAB_ICON,
        layout="wide",
        initial_sidebar_state="collapsed" if presenting else 250,
    )
    style = _STYLE + (_LARGE if presenting else "") + _ONE_ENTRY
    st.html(style, unsafe_allow_javascript=True)
    if not presenting and not st.context.is_embedded:
        with st.sidebar:
            _navigation()


def _head(page: Page, choose: bool, view: lesson_list.Lesson | None = None) -> None:
    """The title, the choice of view, the way to the next one, the link to share."""
    lesson, presenting = lesson_list.current(page.name), controls.presenting()
    with st.container(
        horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="head"
    ):
        st.title(page.title, anchor=False, width="content")
        if choose and presenting:
            row = controls.CONTROLS[page.controls[0]]
            st.markdown(f"**{row.choices[controls.get(row.name)]}**", width="content")
        elif choose:
            controls.control(page.controls[0], label_visibility="collapsed", width="content")
        with st.container(
            horizontal=True, vertical_alignment="center", gap="xsmall", width="content"
        ):
            if lesson:
                _moves([one.place for one in lesson_list.LESSONS], lesson.number - 1, "lesson")
                link("home", label="All lessons")
            elif presenting:
                places = navigation.views()
                key = controls.get(page.controls[0]) if page.views else ""
                _moves(places, places.index(navigation.Place(page.name, key)), "view")
            if presenting:
                _way_out()
            classroom.show_buttons(lesson, view)
            _share()


def _moves(places: Sequence[navigation.Place], here: int, what: str) -> None:
    """To the one before and the one after, also with the page keys, as a presenter's remote has."""
    for step, key, icon in ((-1, "PageUp", "arrow_back"), (1, "PageDown", "arrow_forward")):
        to = here + step
        if st.button(
            "Previous" if step < 0 else "Next",
            icon=f":material/{icon}:",
            key=f"_{key}",
            type="tertiary",
            shortcut=key,
            help=f"The {'previous' if step < 0 else 'next'} {what}",
            disabled=not 0 <= to < len(places),
        ):
            places[to].go()


def _way_out() -> None:
    """From the presentation, which has no side bar, to any page and back to the ordinary view."""
    with st.popover("Pages", icon=":material/menu:", type="tertiary"):
        for page in PAGES.values():
            link(page.name, width="stretch")
    st.button(
        "Leave",
        icon=":material/close_fullscreen:",
        type="tertiary",
        key="_leave",
        on_click=controls.set_presenting,
        args=(False,),
    )


def answer(
    text: str, part: str = "", table: Sequence[Mapping[str, str]] = (), **facts: Any
) -> bool:
    """The answer, in words computed from what is on screen; returns whether it is shown.

    Options and a button stand there until it is asked for, once for each view in a session; where
    the question has its bar above, they are there. part: which of several answers of one view it
    is. table: rows of what the words name and the picture does not show. facts: what the options
    are judged by; where one is None, they cannot be.
    """
    facts = {} if None in facts.values() else facts
    st.session_state["_facts"].update(facts)
    view, asked = st.session_state["_view"], st.session_state["_asked"]
    if part:
        view, asked = replace(view, name=f"{view.name}/{part}", options={}), None
    shown = lesson_list.is_revealed(asked or view)
    if not asked:
        place = lesson_list.show_options(view if facts else replace(view, options={}))
        if shown and facts and view.options:
            lesson_list.show_verdict(view, place, facts)
    if shown:
        st.success(words.minus(text), icon=":material/check_circle:", title="What the picture says")
        if table:
            st.table(list(table), hide_index=True, border="horizontal")
    return shown


def picture() -> AbstractContextManager:
    """The place of the main picture of a view, which keeps its height: `with page.picture(): …`.

    `charts.show(…, main=True)` draws there too.
    """
    return st.container(key="picture", gap="xsmall")


def control_box(key: str = "controls") -> AbstractContextManager:
    """The row in which a page draws its controls: `with page.control_box(): …`.

    The main ones have the default key; others of the same view have another.
    """
    return st.container(key=key, gap="xsmall")


def control_columns(
    *widths: float, aligned: Literal["top", "bottom"] = "top"
) -> list[DeltaGenerator]:
    """The same, in columns: `controls.control("eps", first)` draws in the first."""
    with control_box():
        return st.columns(widths, vertical_alignment=aligned)


def control_row(*names: str, widths: Sequence[int] = (), **labels: str) -> list[Any]:
    """These controls side by side, and their values. labels: control -> a label of its own."""
    columns = st.columns(widths or len(names), vertical_alignment="bottom")
    pairs = zip(names, columns, strict=True)
    return [controls.control(name, column, label=labels.get(name, "")) for name, column in pairs]


def more_settings() -> AbstractContextManager:
    """The place of what is seldom moved, folded: `with page.more_settings(): …`."""
    return st.expander("More settings", icon=":material/tune:", key="more_settings", type="compact")


def control_grid(names: Sequence[str]) -> None:
    """These controls, four in a row."""
    for at in range(0, len(names), 4):
        for name, column in zip(names[at : at + 4], st.columns(4), strict=False):
            controls.control(name, column)


def methods_control() -> tuple[str, ...]:
    """The chosen methods, as many as fit side by side."""
    # TensorFlow's batch norm gives the same numbers as batch.
    offered = [method for method in METHODS if method != "tf_batch"]
    chosen = controls.control("methods", choices=offered, wrap=True)
    if not chosen:
        st.info("Choose at least one method.", icon=":material/touch_app:")
    if left_out := chosen[MOST_METHODS:]:
        names = words.listed(map(words.in_sentence, left_out))
        st.caption(f"Four fit side by side. Not shown: {names}.")
    return chosen[:MOST_METHODS]


def _navigation() -> None:
    group = ""
    for page in PAGES.values():
        if page.group != group:
            group = page.group
            st.caption(group)
        link(page.name, width="stretch")
    st.space("small")
    data_choice.show_briefly()


def _share() -> None:
    """The link to this very state, as text and as a QR code, and the switch for a projector."""
    share = st.popover(
        "Share", icon=":material/share:", type="tertiary", key="_share", on_change="rerun"
    )
    if not share.open:
        return
    with share:
        host = navigation.room_address() if navigation.is_local() else ""
        link_here = address(presented=False, host=host)
        # First, and large: read from the last row, where the page is presented.
        width = 380 if controls.presenting() else 260
        st.image(navigation.qr_code(link_here), width=width, alt="QR code of the link below")
        st.code(link_here, language=None, wrap_lines=True)
        if navigation.is_local():
            st.caption(
                "Your address bar says localhost, which others cannot open. "
                + (
                    "This is the same page at this machine's address in its network, if the "
                    "firewall lets others in."
                    if host
                    else "This machine has no network address that it could offer."
                )
            )
        st.toggle(
            "Present",
            value=controls.presenting(),
            key="_present",
            help="Large type, large pictures, no side bar; the page keys lead on and back.",
            on_change=lambda: controls.set_presenting(st.session_state["_present"]),
        )


# The first screen belongs to question, control and picture: little air around them, on a phone two
# controls in a row and the choice of view in the row below the title. The picture keeps its height
# while it is empty. The dark theme's accent is light enough to read as text; on it, white would not
# be: Canvas is white in light, near black in dark. On paper a page is a hand-out: no side bar, no
# buttons, dark on white, nothing cut in two, and its address.
_STYLE = """<style>
[data-testid="stHeader"] { background: transparent; height: 3rem; min-height: 3rem; }
[data-testid="stHeader"], [data-testid="stHeader"] * { pointer-events: none; }
[data-testid="stHeader"] :is(button, button *) { pointer-events: auto; }
[data-testid="stMainBlockContainer"] { padding: .3rem 2rem 3rem; }
.st-key-head { padding-right: 2.2rem; }
.stApp:has([data-testid="stExpandSidebarButton"]) .st-key-head { padding-left: 2.5rem; }
.st-key-head h1 { padding: .2rem 0; }
.st-key-controls { min-height: 73px; }
.st-key-picture { min-height: 340px; }
[data-testid="stStatusWidget"] { position: fixed; right: 1rem; bottom: 1rem; }
[data-testid="stBaseButton-primary"] { color: Canvas; }
.on-paper { display: none; }
@media (min-width: 641px) { .katex-display { overflow: visible !important; } }
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] { padding: 3rem 1rem 3rem; }
  .st-key-head, .stApp:has([data-testid="stExpandSidebarButton"]) .st-key-head { padding: 0; }
  .st-key-head > :nth-child(2):not(:last-child) { order: 1; }
  .st-key-controls [data-testid="stColumn"] { flex: 1 1 0; min-width: calc(50% - 1rem); }
  .st-key-controls [data-testid="stColumn"]:has([data-testid="stButtonGroup"]) {
    flex-basis: max-content;
  }
}
@media print {
  .stApp { background: white !important; }
  .stApp, .stApp * { color: black !important; }
  .stApp :not(td, th, rect) { background-color: transparent !important; }
  [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stToolbar"],
  [data-testid="stElementToolbar"], .stButton, .stPopover, .stDownloadButton,
  [data-testid="stPageLink"] { display: none !important; }
  [data-testid="stMainBlockContainer"] { zoom: .8; }
  [data-testid="stColumn"] { min-width: 0 !important; }
  .on-paper { display: block; font-size: 10pt; }
  .st-key-picture, [data-testid="stVegaLiteChart"], table { break-inside: avoid; }
  [class*="st-key-whole_"] { break-inside: avoid; }
  [class*="st-key-screen_"] { display: none; }
  [data-testid="stVegaLiteChart"] svg { max-width: 100%; height: auto; }
}
</style>"""
# Width of the screen -> how much larger all is drawn on it, and the picture once more. Streamlit
# lays a chart out for the width that it has after the enlargement: told less, it fits again.
_SIZES = {1024: (1.0, 1.1), 1260: (1.15, 1.13), 1600: (1.45, 1.13), 1900: (1.75, 1.13)}
_LARGE = (
    """<style>
[data-testid="stSidebar"], [data-testid="stExpandSidebarButton"] { display: none; }
"""
    + "\n".join(
        f"""@media (min-width: {width}px) {{
  [data-testid="stMainBlockContainer"] {{ zoom: {all}; }}
  [data-testid="stVegaLiteChart"] {{ width: {1 / all:.2%} !important; }}
  .st-key-picture {{ zoom: {picture}; }}
  .st-key-picture [data-testid="stVegaLiteChart"] {{ width: {1 / all / picture:.2%} !important; }}
}}"""
        for width, (all, picture) in _SIZES.items()
    )
    + "</style>"
)
# Streamlit makes each new address of a page an entry of the browser's history; one notch of a
# slider is no place to go back to. Another page stays one.
_ONE_ENTRY = """<script>
if (!history.oneEntryForEachPage) {
  const push = history.pushState.bind(history);
  history.oneEntryForEachPage = true;
  history.pushState = (state, title, url) =>
    (url && new URL(url, location).pathname === location.pathname
      ? history.replaceState.bind(history) : push)(state, title, url);
}
</script>"""
