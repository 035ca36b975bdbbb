"""What every page does first, and the frame around it: navigation, data, link, presentation.

A page is its lessons:

    from pages.components import page
    from pages.lessons.step_by_step import convolution, table

    page.show("steps", {"table": table, "convolution": convolution})
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlencode

import segno
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitPageNotFoundError

from normlib.config import METHODS
from pages.components import controls, data_choice, server, turns
from pages.lab import words

ROOT = Path(__file__).parents[2]
MOST_METHODS = 4
# The block on the home page. The browser would fetch a Material icon from another server.
TAB_ICON = "🧊"


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# What decides a training, in the order in which pages show it.
TRAINING = _names(
    "batch lr epochs images eps hidden placement start seed learn inference momentum position "
    "center scale ghost groups"
)


@dataclass(frozen=True)
class Page:
    """One page as the navigation shows it.

    number: in the name of its file; the order of the navigation is that of `PAGES`.
    controls: the settings on it, in the order of its link (rows of `controls.CONTROLS`); where
        there are several lessons, the first chooses one.
    limits: upper limits that differ on this page.
    """

    name: str
    number: int
    title: str
    icon: str
    group: str
    about: str
    controls: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """Its script, from the root of the project."""
        return f"pages/{self.number}_{self.title.replace(' ', '_')}.py" if self.number else "app.py"


def _pages(*pages: Page) -> dict[str, Page]:
    return {page.name: page for page in pages}


PAGES = _pages(
    Page("home", 0, "Normalization Lab", "home", "", "The idea in one screen."),
    Page(
        *("steps", 1, "Step by step", "calculate", "Understand"),
        "A small table, every step of every method with the numbers put in.",
        _names("show method eps gamma beta affine row column at x v g seed"),
    ),
    Page(
        *("activations", 2, "Activation statistics", "bar_chart", "Understand"),
        "One batch of digits, and what each method does to its activations.",
        _names("view batch eps seed stage methods weights"),
        limits={"batch": 128},  # more images look the same, and thirty students wait for them
    ),
    Page(
        *("backward", 6, "Backward pass", "undo", "Understand"),
        "The gradient in three terms, checked four ways.",
        _names("pass method eps gamma dz mistake row column bias stage lr seed x"),
    ),
    Page(
        *("train", 3, "Train", "play_circle", "Experiment"),
        "Train the small network with your settings, live.",
        ("method", *TRAINING, *_names("look stage misread channel over run")),
        limits={"batch": 1024},
    ),
    Page(
        *("compare", 4, "Compare", "compare_arrows", "Experiment"),
        "The methods side by side: same start, same batches.",
        (*_names("among methods method cuts seeds"), *TRAINING, "run"),
        limits={"batch": 1024},
    ),
    Page(
        *("batch_lab", 7, "Batch size lab", "groups", "Experiment"),
        "Small batches, batch-mates, training against inference.",
        _names(
            "lab against batch momentum placement recalibrated crowd mates pinned methods "
            "held lr seeds from"
        ),
    ),
    Page(
        *("report", 5, "Report", "fact_check", "Check"),
        "The report's three tables, reproduced, and why weight norm lost.",
        _names("part setting numbers quantity defaults batch eps seed"),
        limits={"batch": 128},  # a comparison takes memory in proportion, for a moment
    ),
    Page(
        *("write", 8, "Write it yourself", "edit_note", "Check"),
        "Write each normalization; what is wrong gets a name.",
        ("exercise",),
    ),
)


class Lesson(Protocol):
    """One lesson: a module of `pages.lessons`.

    A lesson that has something to show before TensorFlow is loaded sets WAITS = True and calls
    `server.wait_for_tensorflow` itself.
    """

    @property
    def QUESTION(self) -> str | Callable[[], str]: ...

    def show(self) -> None: ...


def show(name: str, lessons: Mapping[str, Lesson]) -> None:
    """Show a page of `PAGES`: its frame, the choice of lesson, the question, the lesson.

    lessons: value of the page's first control -> lesson; a single one needs no choice.
    """
    with turns.take():
        _frame(name)
        shared = _link_on_screen()

        @st.fragment  # a moved control draws all below the title again, and not the frame
        def body() -> None:
            with turns.take():
                controls.read_widgets()
                try:
                    _lesson(PAGES[name].controls[0], lessons)
                finally:
                    controls.write_address()
                if _link_on_screen() != shared:
                    st.rerun()

        body()


def _lesson(view: str, lessons: Mapping[str, Lesson]) -> None:
    # Together, so that a notice which goes moves nothing else to another place: a browser would
    # build the lesson's controls anew, under the hand of whoever drags one.
    with st.container():
        notices()
        key = next(iter(lessons))
        if len(lessons) > 1:
            key = controls.control(view, label_visibility="collapsed")
        st.session_state["_lesson"] = (view, key)
        lesson = lessons[key]
        asked = lesson.QUESTION if isinstance(lesson.QUESTION, str) else lesson.QUESTION()
        title = getattr(lesson, "ASKS", "Predict first")
        st.info(asked, icon=":material/psychology_alt:", title=title)
    if not getattr(lesson, "WAITS", False):
        server.wait_for_tensorflow()
    lesson.show()


def set_up(name: str) -> None:
    """Set up a page of `PAGES` that has no lessons; the first call of its script.

    It starts the loading of TensorFlow and does not wait for it.
    """
    _frame(name)
    notices()


def notices() -> None:
    """What the link asked for and cannot have."""
    for sentence in controls.notices():
        st.warning(sentence, icon=":material/link_off:")


def _frame(name: str) -> None:
    """Tab title, side bar, page title, link to share."""
    page = PAGES[name]
    server.warm_up()
    controls.begin(name, page.controls, page.limits)
    presenting = controls.presenting()
    st.set_page_config(
        page_title=page.title if name == "home" else f"{page.title} · Normalization Lab",
        page_icon=TAB_ICON,
        layout="wide",
        initial_sidebar_state="collapsed" if presenting else 260,
    )
    st.html(_STYLE + (_LARGE if presenting else ""))
    if not presenting:
        with st.sidebar:
            _navigation()
    title = st.container(horizontal=True, vertical_alignment="center")
    title.title(page.title, anchor=False, width="stretch")
    with title:
        _share()


def _link_on_screen() -> str:
    """The link that the frame shows; nothing while it is folded."""
    return address() if st.session_state.get("_link_on_screen") else ""


def answer(text: str, part: str = "") -> None:
    """The answer, in words computed from what is on screen.

    A button stands there until it is asked for, once for each lesson in a session. part: which of
    several answers of one lesson it is.
    """
    answered = st.session_state.setdefault("_answered", set())
    this = (*st.session_state.get("_lesson", ()), part)
    if this not in answered and not controls.shows_answers():
        show = {"on_click": answered.add, "args": (this,)}
        st.button("Show the answer", icon=":material/key:", key=f"_answer_{part}", **show)
        return
    st.success(words.minus(text), icon=":material/check_circle:", title="What the picture says")


def control_box() -> AbstractContextManager:
    """The bordered row in which a page draws its controls: `with page.control_box(): …`."""
    return st.container(border=True)


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


def link(
    name: str,
    *,
    label: str = "",
    width: Literal["content", "stretch"] = "content",
    state: Mapping[str, Any] | None = None,
) -> None:
    """A link to a page that takes the settings along.

    state: setting name -> value, to open the page so instead, everything else at its default.
    """
    page = PAGES[name]
    label = label or ("Home" if name == "home" else page.title)
    parameters = controls.link_parameters(page.controls, state)
    if state is None:
        controls.note_link(name, parameters)
    try:
        st.page_link(
            str(ROOT / page.file),
            label=label,
            icon=f":material/{page.icon}:",
            help=page.about,
            width=width,
            query_params=parameters,
        )
    except StreamlitPageNotFoundError:
        # A page that was started by itself, as a test does, has no other pages to link to.
        st.markdown(f":material/{page.icon}: {label}")


def address() -> str:
    """The link to what is on screen, without what is at its default: short enough to scan."""
    state = controls.link_parameters(changed_only=True)
    bare = (st.context.url or "").split("?")[0]
    return f"{bare}?{urlencode(state, safe=',')}" if state else bare


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
    st.session_state["_link_on_screen"] = share.open
    if not share.open:
        return
    with share:
        link_here = address()
        picture = io.BytesIO()
        segno.make(link_here, micro=False).save(picture, kind="png", scale=8, border=3)
        # First, and large: read from the last row, where the page is presented.
        width = 420 if controls.presenting() else 260
        st.image(picture, width=width, alt="QR code of the link below")
        st.code(link_here, language=None, wrap_lines=True)
        st.toggle(
            "Present",
            value=controls.presenting(),
            key="_present",
            help="Large type, thick lines, no side bar.",
            on_change=lambda: controls.set_presenting(st.session_state["_present"]),
        )


# The dark theme's accent is light enough to read as text; on it, white would not be. Canvas is
# white in light, near black in dark.
_STYLE = """<style>
[data-testid="stBaseButton-primary"] { color: Canvas; }
</style>"""
# The theme's sizes are fixed when the server starts; a class at a projector needs larger ones now.
_LARGE = """<style>
html { font-size: 22px !important; }
[data-testid="stSidebar"], [data-testid="stSidebarCollapsedControl"],
[data-testid="stExpandSidebarButton"] { display: none; }
</style>"""
