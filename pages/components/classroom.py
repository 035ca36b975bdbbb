"""A class in this session: who takes part as what, and the lecturer's question on a lesson's page.

The browser keeps a cookie for a day: the code, and the lecturer's key. While a question is under
way its lesson is not drawn on the lecturer's screen at all, so nothing there gives the answer away;
where it is revealed, the page says what was right, and that is written down. Before that no
student's screen could have been sent it: the class does not know it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from normlib.config import TrainConfig
from pages.components import controls, lesson_list, navigation, server, turns
from pages.lab.votes import Question

if TYPE_CHECKING:
    from pages.lab.classes import State

COOKIE = "normlab"
_KEPT = re.compile(r"(\w*):([\w-]*)", re.ASCII)  # code, key
# Phase -> what leads there, and what the class is told meanwhile.
STEPS = {
    "closed": ("Close the vote", "front_hand"),
    "shown": ("Show the votes", "bar_chart"),
    "second": ("Vote again", "how_to_vote"),
    "closed again": ("Close the vote", "front_hand"),
    "revealed": ("Reveal", "key"),
}
MEANWHILE = {
    "asked": "Each answers alone. No talking yet.",
    "closed": "The vote is closed.",
    "shown": "Convince your neighbour. Then all vote once more.",
    "second": "All vote once more.",
    "closed again": "The second vote is closed.",
}
# Of a revealed question: the verdict's, the votes'.
Places = tuple[DeltaGenerator, DeltaGenerator]


@dataclass(frozen=True)
class Seat:
    """Somebody's place in a class. key: the lecturer's, "" for a student."""

    code: str = ""
    key: str = ""


# ---- taking a seat -----------------------------------------------------------------------------


def begin() -> None:
    """Take the seat that the link names, or the one that this browser had; first in every run."""
    if "_seat" not in st.session_state:
        # A test's browser has a stand-in for its cookies, which is no text.
        kept = _KEPT.fullmatch(str(st.context.cookies.get(COOKIE, "")))
        code, key = kept.groups() if kept else ("", "")
        st.session_state["_seat"] = Seat(code, _checked(code, key))
    followed = st.query_params.get("class", "")
    key = st.query_params.get("key", "")
    if key:  # it must not stay where a projector shows it
        del st.query_params["key"]
    if followed and (followed != st.session_state.get("_followed") or key):
        st.session_state["_followed"] = followed
        act(join, followed, key)


def join(typed: str, key: str = "") -> None:
    """Take a seat in the class of this code: the lecturer's, with its key."""
    code = server.classes().join(typed, st.context.ip_address or "")
    key = _checked(code, key)
    if key or code != st.session_state["_seat"].code:
        st.session_state["_seat"] = Seat(code, key)


def _checked(code: str, key: str) -> str:
    """The key, if it is that of this class."""
    return key if key and server.classes().is_lecturer(code, key) else ""


def start() -> None:
    """Begin a class as its lecturer."""
    st.session_state["_seat"] = Seat(*server.classes().start())


def leave() -> None:
    """Take part in no class; the class goes on without."""
    st.session_state["_seat"] = Seat()


def cookie() -> str:
    """A script by which the browser keeps the seat, for a reload and for a server started anew."""
    taken: Seat = st.session_state["_seat"]
    if not taken.code and COOKIE not in st.context.cookies:
        return ""
    text = f"{COOKIE}={taken.code}:{taken.key}"
    return f'<script>document.cookie = "{text}; path=/; max-age=86400; samesite=lax"</script>'


def seat() -> Seat | None:
    """The seat of this session, in a class that still runs."""
    taken: Seat | None = st.session_state.get("_seat")
    return taken if taken and taken.code and server.classes().state(taken.code) else None


def lecturer() -> Seat | None:
    """The same where it is the lecturer's."""
    taken = seat()
    return taken if taken and taken.key else None


def state() -> State:
    """The class of this session."""
    found = server.classes().state(st.session_state["_seat"].code)
    assert found is not None
    return found


def act(work: Callable[..., Any], *arguments: Any) -> None:
    """Do it; what the class does not allow is said by `complaint` in the next run."""
    from pages.lab.classes import Refused

    try:
        work(*arguments)
    except Refused as refused:
        st.session_state["_refused"] = str(refused)


def complaint() -> None:
    """What was refused, once."""
    if sentence := st.session_state.pop("_refused", ""):
        st.warning(sentence, icon=":material/block:")


# ---- the lecturer's question -------------------------------------------------------------------


def ask(lesson: lesson_list.Lesson) -> None:
    """Put a lesson's question to the class."""
    taken = st.session_state["_seat"]
    lesson_list.hide_answer(lesson)
    _shown().discard(lesson.name)
    options = list(lesson.options)
    act(server.classes().ask, taken.code, taken.key, lesson.name, lesson.question, options)


def asked(view: lesson_list.Lesson) -> lesson_list.Lesson | None:
    """The question of this view where it is the one that the lecturer has asked."""
    return view if _question(view) else None


def holds_back(lesson: lesson_list.Lesson) -> bool:
    """Whether the lecturer's screen shows the question in place of the lesson."""
    if lecturer() is None or lesson.name in _shown():
        return False
    question = _question(lesson)
    return question is None or question.phase != "revealed"


def show_question(lesson: lesson_list.Lesson) -> None:
    """The question, what leads on, the way into the class, and how many have voted."""
    question = _question(lesson)
    complaint()
    text, way_in = st.columns([5, 3], gap="large")
    with text:
        st.markdown(f"**{lesson.heading}**")
        st.title(lesson.question, anchor=False)
        if question and question.phase in ("shown", "closed again"):
            _show_votes(question)
        else:
            for option in lesson.options:
                st.subheader(f":material/circle: {option}", anchor=False)
        with st.container(horizontal=True, vertical_alignment="center", key="steps"):
            _buttons(lesson, question)
    with way_in:
        show_way_in()
        if question:
            _watch(question)


def _buttons(lesson: lesson_list.Lesson, question: Question | None) -> None:
    from pages.lab.classes import NEXT

    if question is None:
        show = _shown().add
        _button("Ask the class", "front_hand", ask, lesson, main=True)
        _button("Show it without asking", "visibility", show, lesson.name)
        return
    taken = st.session_state["_seat"]
    for place, phase in enumerate(NEXT[question.phase]):
        move = (server.classes().move, taken.code, taken.key, phase)
        _button(*STEPS[phase], act, *move, main=not place)
    st.markdown(MEANWHILE[question.phase], width="content")


def _button(
    label: str, icon: str, work: Callable[..., Any], *arguments: Any, main: bool = False
) -> None:
    st.button(
        label,
        icon=f":material/{icon}:",
        type="primary" if main else "secondary",
        key=f"_class_{icon}",
        on_click=work,
        args=arguments,
    )


def show_way_out() -> None:
    """A button that leaves the class."""
    _button("Leave this class", "logout", leave)


def show_way_in() -> None:
    """The code and the link of the class, for students."""
    code = state().code
    link = navigation.link_to("home", **{"class": code})
    st.image(navigation.qr_code(link), width=250, alt="QR code of the link below")
    st.title(code, anchor=False)
    st.markdown(f"`{link}`")


def _watch(question: Question) -> None:
    """How many have voted, as they do; another device of the lecturer may lead on."""

    @st.fragment(run_every=1.0)
    def count() -> None:
        with turns.take():
            if _question_now() != question:
                st.rerun()
            votes = server.classes().count(state().code, question)
            st.metric("Votes", votes)

    count()


def _question_now() -> Question | None:
    return state().question if lecturer() else None


def _question(lesson: lesson_list.Lesson) -> Question | None:
    """What the class is asked now, where that is the question of this lesson."""
    question = _question_now()
    return question if question and question.lesson == lesson.name else None


def _shown() -> set[str]:
    """The lessons that the lecturer shows without asking."""
    shown: set[str] = st.session_state.setdefault("_without_asking", set())
    return shown


# ---- the answer --------------------------------------------------------------------------------


def show_bar(lesson: lesson_list.Lesson) -> Places | None:
    """The bar of a lesson whose question is revealed, and its places for verdict and votes."""
    if _question(lesson) is None:
        return None
    lesson_list.show_answer(lesson)
    left, votes = st.columns([2, 3], gap="medium")
    with left.container(gap="xsmall"):
        lesson_list.show_question(lesson)
        verdict = st.empty()
        _button("Ask again", "replay", ask, lesson)
    return verdict, votes


def tell(lesson: lesson_list.Lesson, places: Places, facts: lesson_list.Facts) -> None:
    """The verdict and the votes; what was right is written down where it was not yet."""
    verdict, votes = places
    lesson_list.show_verdict(lesson, verdict, facts)
    question = _question(lesson)
    if question and question.right is None and facts:
        taken = st.session_state["_seat"]
        right = lesson.right(facts)
        act(server.classes().settle, taken.code, taken.key, right, navigation.here())
        question = _question(lesson)
    if question:
        with votes:
            _show_votes(question)


def _show_votes(question: Question) -> None:
    server.wait_for_tensorflow()
    from pages.components import vote_chart  # it imports charts, which import the page

    taken = st.session_state["_seat"]
    vote_chart.show(question, server.classes().votes(taken.code, taken.key, question.number))


def keep_runs(configs: Iterable[TrainConfig]) -> None:
    """Count trainings of this session among those of its class, where it has one."""
    taken = seat()
    if taken and "_dataset" not in st.session_state:  # what somebody has uploaded stays theirs
        for config in configs:
            act(server.classes().keep_run, taken.code, config.key(server.data().checksum))


def send(place: str) -> None:
    """Show the class the way to a place, as `navigation.here` writes it."""
    taken = st.session_state["_seat"]
    act(server.classes().send, taken.code, taken.key, place)


def show_buttons(lesson: lesson_list.Lesson | None, view: lesson_list.Lesson | None) -> None:
    """Ask the question of this view, and show the class where the lecturer is; not where an answer
    is held back. lesson: the one that the link opens."""
    if lecturer() is None or controls.page() in ("home", "teach"):
        return
    here = lesson or (asked(view) if view else None)
    if here and holds_back(here):
        return
    if view and view.options and not here:
        st.button(
            "Ask the class",
            icon=":material/front_hand:",
            type="tertiary",
            key="_ask_view",
            help="The question of this view; the page is hidden until you reveal the answer.",
            on_click=ask,
            args=(view,),
        )
    place = navigation.here()
    sent = state().here == place
    st.button(
        "Class is here" if sent else "Bring the class",
        icon=":material/campaign:",
        type="tertiary",
        key="_send",
        disabled=sent,
        help="Students see a link to this page as it is now; nobody is moved.",
        on_click=send,
        args=(place,),
    )
