"""One exercise: its task, the student's text, and what the checks say of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import streamlit as st

from normlib.exercises import TITLES
from pages.components import controls, page, trainings, turns
from pages.lessons.write import texts, training

if TYPE_CHECKING:
    from normlib.exercises import Exercise, Mistake, Result

QUESTION = "Can you write it from basic ops, so that its values and its gradients are right?"

_one_at_a_time = threading.Lock()


def show() -> None:
    from normlib.exercises import EXERCISES

    with page.control_box():
        choice, progress = st.columns([3, 2], gap="medium", vertical_alignment="center")
        with choice:
            exercise = EXERCISES[controls.control("exercise")]
    left, right = st.columns(2, gap="medium")
    with left:
        text = texts.editor(exercise)
        buttons(exercise, text)
    with right:
        task(exercise)
        asked = st.session_state.setdefault("_checked", {})  # exercise -> text
        if trainings.wished("check_own"):
            asked[exercise.name] = text
        if asked.get(exercise.name) == text:
            with turns.let_others():
                result = checked(exercise.name, text)
            show_result(result)
    with progress:
        show_progress()
    training.show(exercise.name, text)
    texts.files()


def task(exercise: Exercise) -> None:
    st.markdown(f"**{exercise.task}** {exercise.hint}")
    st.latex(exercise.formula)
    st.caption(exercise.source)


def buttons(exercise: Exercise, text: str) -> None:
    from normlib.exercises.catalog import OPS

    with st.container(horizontal=True):
        trainings.button("Check", "check_own", type="primary", icon=":material/check:")
        st.button(
            "Start over",
            icon=":material/undo:",
            disabled=text == exercise.starter,
            on_click=texts.put,
            args=(exercise.name, exercise.starter),
        )
    st.caption(f"Enough for it: {OPS}; helper functions of your own.")


def show_progress() -> None:
    """Which of the twelve this browser has solved."""
    solved = [title for name, title in TITLES.items() if name in texts.shelf().solved]
    listed = f": {', '.join(f'✓ {title}' for title in solved)}" if solved else ""
    st.caption(f"{len(solved)} of {len(TITLES)} solved{listed}.")


# ---- what the checks say -----------------------------------------------------------------------


@st.cache_resource(show_spinner=False, max_entries=500)
def checked(name: str, text: str) -> Result:
    """The result for this text, looked up for whoever writes the same."""
    from normlib.exercises.checks import EXERCISES, Result, Stopped, Tick, check
    from pages.lab.interpreter import function_of

    with _one_at_a_time:
        try:
            return check(name, function_of(text, name), text)
        except Stopped as stopped:
            return Result(EXERCISES[name], (Tick("Can be read", False, str(stopped)),))


def show_result(result: Result) -> None:
    failed = [tick for tick in result.ticks if not tick.passed]
    if result.passed:
        texts.shelf().solved.add(result.exercise.name)
        st.success("Right, forward and backward.", icon=":material/check_circle:")
        offer_next(result.exercise.name)
    elif result.mistake is not None:
        show_mistake(result.mistake)
    if failed:
        st.markdown(f":red[:material/close:] **{failed[0].title}**")
        st.code(failed[0].detail, language=None, wrap_lines=True)
    others = [tick for tick in result.ticks if tick not in failed[:1]]
    marks = {True: ":green[:material/check:]", False: ":red[:material/close:]"}
    st.markdown("  \n".join(f"{marks[one.passed]} {one.title}" for one in others))


def show_mistake(mistake: Mistake) -> None:
    st.error(
        f"**{mistake.name[0].upper()}{mistake.name[1:]}.** {mistake.sentence}",
        icon=":material/search:",
    )
    name, state = lesson_of(mistake)
    page.link(name, label=f"See what it does: {page.PAGES[name].title}", state=state)


def lesson_of(mistake: Mistake) -> tuple[str, dict[str, object]]:
    """The page that shows a mistake, and the settings there."""
    file, _, query = mistake.lesson.partition("?")
    name = next(one.name for one in page.PAGES.values() if one.file.endswith(f"_{file}.py"))
    return name, {key: controls.CONTROLS[key].parse(text) for key, text in parse_qsl(query)}


def offer_next(name: str) -> None:
    left = [one for one in TITLES if one not in texts.shelf().solved]
    if left:
        after = [*left, *left][
            sum(list(TITLES).index(one) < list(TITLES).index(name) for one in left)
        ]
        label = f"Next: {TITLES[after]}"
        st.button(label, icon=":material/arrow_forward:", on_click=_go, args=(after,))


def _go(name: str) -> None:
    controls.put("exercise", name)
