"""The plan of a class as rows to teach from, and as a hand-out without answers; both print."""

from __future__ import annotations

import streamlit as st

from pages.components import classroom, lesson_list, navigation
from pages.components.lesson_list import Lesson
from pages.lab import words
from pages.lessons.teach.plans import PLANS, Step


def show(name: str) -> None:
    """name: one of `PLANS`, or `handout`."""
    if name == "handout":
        hand_out()
        return
    at = 0
    for step in PLANS[name]:
        with st.container(border=True, gap="xsmall", key=f"whole_{at}"):
            row(step, at)
        at += step.minutes
    st.caption(
        f"{at} minutes. Without the network: the lab runs on the lecturer's machine and needs none."
    )


def row(step: Step, at: int) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.markdown(f"**{at} min · {step.title}** · {step.minutes} minutes", width="content")
        for page in step.pages:
            navigation.link(page, state={})
    st.markdown(step.do)
    for name in step.lessons:
        if lesson := lesson_list.named(name):
            question(lesson)
    if step.expect:
        st.markdown(f":material/psychology_alt: Expect: {step.expect}")
    st.caption(f"Without a network for students: {step.offline}")


def question(lesson: Lesson) -> None:
    text, link, ask = st.columns([6, 2, 1.4], vertical_alignment="center")
    options = " / ".join(lesson.options)
    text.markdown(f"**{lesson.question}**  \n{options}")
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
