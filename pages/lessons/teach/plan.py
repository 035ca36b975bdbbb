"""The plan of a class as rows to teach from, and as a hand-out without answers; both print."""

from __future__ import annotations

import streamlit as st

from pages.components import classroom, lesson_list, navigation, server
from pages.components.lesson_list import Lesson
from pages.lab import words
from pages.lessons.teach.plans import PLANS, Step


def show(name: str) -> None:
    """name: one of `PLANS`, or `handout`."""
    if name == "handout":
        hand_out()
        return
    answers = bool(classroom.lecturer()) and st.toggle(
        "Right answers",
        key="_right",
        help="Computed now, from what each link shows. Not while your screen is on the projector.",
    )
    at = 0
    for step in PLANS[name]:
        with st.container(border=True, gap="xsmall", key=f"whole_{at}"):
            row(step, at, answers)
        at += step.minutes
    st.caption(
        f"{at} minutes. Without the network: the lab runs on the lecturer's machine and needs none."
    )


def row(step: Step, at: int, answers: bool) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.markdown(f"**{at} min · {step.title}** · {step.minutes} minutes", width="content")
        for page in step.pages:
            navigation.link(page, state={})
    st.markdown(step.do)
    for name in step.lessons:
        if lesson := lesson_list.named(name):
            question(lesson, answers)
    if step.expect:
        st.markdown(f":material/psychology_alt: Expect: {step.expect}")
    st.caption(f"Without a network for students: {step.offline}")


def question(lesson: Lesson, answers: bool) -> None:
    text, link, ask = st.columns([6, 2, 1.4], vertical_alignment="center")
    options = " / ".join(lesson.options)
    text.markdown(f"**{lesson.question}**  \n{options}")
    if answers:
        server.wait_for_tensorflow()
        from pages.lessons.teach.right_answers import right  # it needs all that the lessons need

        told = words.listed(f"**{option}**" for option in right(lesson))
        text.markdown(f":material/check_circle: {told or 'not trained here yet: open it first'}")
    with link:
        navigation.link(
            lesson.page, label=lesson.title, state=lesson.state, lesson=lesson.name, width="stretch"
        )
    if classroom.lecturer() and ask.button("Ask", icon=":material/front_hand:", key=lesson.name):
        classroom.ask(lesson)
        lesson.place.go()


def hand_out() -> None:
    """All questions with their options, to tick; no answers."""
    for lesson in lesson_list.LESSONS:
        with st.container(gap="xsmall", key=f"whole_{lesson.name}"):
            st.markdown(f"**{lesson.number}. {lesson.title}.** {lesson.question}")
            st.markdown("  \n".join(f"☐ {option}" for option in lesson.options))
            st.caption(f"Then: {lesson.task}")
    minutes = words.count(sum(lesson.minutes for lesson in lesson_list.LESSONS), "minute")
    st.caption(f"{minutes}. To print: your browser's print; it leaves out buttons and side bar.")
