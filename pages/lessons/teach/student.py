"""A student's screen, made for a telephone: the question, one tap, and later the answer."""

from __future__ import annotations

from zlib import crc32

import streamlit as st

from pages.components import classroom, lesson_list, navigation, server, trainings, turns
from pages.lab import words
from pages.lab.votes import Question

# In a place that the class is sent to: each student gets another seed there.
OWN_SEED = "seed=own"
SURE = {1: "Guessing", 2: "Fairly sure", 3: "Sure"}
WAITING = {
    "closed": "The vote is closed.",
    "shown": "Look at the votes in front. Convince your neighbour; then all vote once more.",
    "closed again": "The second vote is closed.",
}


def show() -> None:
    @st.fragment(run_every=2.0)
    def screen() -> None:
        with turns.take():
            if classroom.seat() is None:  # it is over
                st.rerun()
            classroom.complaint()
            draw()

    screen()
    classroom.show_way_out()


def draw() -> None:
    state = classroom.state()
    question = state.question
    if question is None:
        st.info("You are in. Wait for the first question.", icon=":material/hourglass:")
    else:
        st.header(question.text, anchor=False)
        own = server.classes().own(state.code, question.number, trainings.session())
        if question.phase == "revealed":
            show_answer(question, own)
        else:
            show_vote(question, own)
    if state.here:
        name = navigation.PAGES[state.here.partition("?")[0]].title
        navigation.follow(with_own_seed(state.here), f"The class is at {name}")


def with_own_seed(place: str) -> str:
    """The place; where it leaves the seed to each student, with one that stays that browser's."""
    return place.replace(OWN_SEED, f"seed={crc32(trainings.session().encode()) % 10_000}")


def show_vote(question: Question, own: dict[bool, str]) -> None:
    second = question.phase == "second"
    if not question.is_open:
        st.info(WAITING[question.phase], icon=":material/front_hand:")
    elif second in own:
        st.success(f"Voted: {own[second]}", icon=":material/check:")
    else:
        vote = f"{question.number}_{second}"
        sure = st.segmented_control(
            "How sure are you? You need not say.",
            SURE,
            format_func=SURE.__getitem__,
            key=f"_sure_{vote}",
        )
        for place, option in enumerate(question.options):
            st.button(
                option,
                key=f"_vote_{vote}_{place}",
                width="stretch",
                on_click=classroom.act,
                args=(cast, question.number, option, sure or 0),
            )
    if not second and False in own and not question.is_open:
        st.caption(f"Your vote: {own[False]}")


def cast(number: int, option: str, sure: int) -> None:
    """Vote in the name of this browser."""
    code = st.session_state["_seat"].code
    server.classes().vote(code, number, trainings.session(), option, sure)


def show_answer(question: Question, own: dict[bool, str]) -> None:
    right = question.right
    if right is None:
        st.info("The answer is about to come.", icon=":material/hourglass:")
        return
    last = own.get(True, own.get(False))
    for option in question.options:
        mark = ":green[:material/check_circle:]" if option in right else ":material/circle:"
        votes = ["second" if two else "first" for two, one in own.items() if one == option]
        told = f" · your {words.listed(votes)} vote" if votes else ""
        st.subheader(f"{mark} {option}{told}", anchor=False)
    lesson = lesson_list.named(question.lesson)
    if lesson and last:
        lesson_list.predict(lesson, last)
    if question.link:
        navigation.follow(question.link, "See the picture")
