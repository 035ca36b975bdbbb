"""The class of this session: a student's screen, a lecturer's, or the way into one."""

from __future__ import annotations

import streamlit as st

from pages.components import classroom, controls, navigation, page, server, trainings
from pages.lessons.teach import experiment, plan, results, student

WAITS = True  # nothing here computes


def QUESTION() -> str:
    student = classroom.seat() and not classroom.lecturer()
    return "Your class" if student else "What does the class expect, before it sees the picture?"


def show() -> None:
    classroom.complaint()
    if classroom.seat() and not classroom.lecturer():
        student.show()
        return
    with st.container(key="screen_class"):
        if classroom.lecturer():
            show_class()
        else:
            show_ways_in()
    with page.control_box("screen_plans"):
        chosen = controls.control("plan", label_visibility="collapsed")
    plan.show(chosen)
    if classroom.lecturer():
        experiment.show()


def show_ways_in() -> None:
    begin, join = st.columns(2, gap="large")
    with begin, st.container(border=True):
        st.markdown(
            "**You teach.** Students join with a code, without name or account, and answer on "
            "their phones. A class ends by itself after a day."
        )
        st.button(
            "Start a class",
            icon=":material/co_present:",
            type="primary",
            key="_start",
            on_click=classroom.act,
            args=(classroom.start,),
        )
    with join, st.form("join", enter_to_submit=True):
        st.markdown("**You take part.** The code is on the screen in front.")
        code = st.text_input("Code", max_chars=5, key="_code", label_visibility="collapsed")
        if st.form_submit_button("Join", icon=":material/login:"):
            classroom.act(classroom.join, code)
            st.rerun()


def show_class() -> None:
    seat = st.session_state["_seat"]
    way_in, more = st.columns([2, 3], gap="large")
    with way_in:
        classroom.show_way_in()
    with more:
        st.markdown(
            "Students scan the code, or type the link. Choose a question below: this screen then "
            "shows the question alone, and the picture once you reveal it."
        )
        with st.expander("Your secret link", icon=":material/key:", type="compact"):
            link = navigation.link_to("teach", **{"class": seat.code, "key": seat.key})
            st.code(link, language=None, wrap_lines=True)
            st.caption(
                "Whoever has it leads the class: keep it for another browser, such as your phone."
            )
        results.show(seat)
        trainings.show_stop_class(server.classes().runs(seat.code))
        classroom.show_way_out()
