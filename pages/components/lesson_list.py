"""The twelve lessons: on the home page as links, and on the page that each opens as a bar.

A lesson is a question with options, of which the view says which hold: it calls
`page.answer(text, cut=0.5, …)` with what it measured, and each option is a predicate of that. The
question of a view that no lesson opens is such a lesson too, of the options in the view's own file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components import controls, navigation
from pages.lab import report
from pages.lab.arithmetic import TABLES
from pages.lab.words import listed, title

Facts = Mapping[str, Any]
Options = Mapping[str, Callable[[Facts], bool]]


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    page, state: where its link leads, and the settings there that are not at their default.
    task: what to do on that page.
    options: each possible answer, and whether it holds for what the page measured.
    """

    name: str
    title: str
    minutes: int
    page: str
    state: Mapping[str, Any]
    question: str
    task: str
    options: Options

    @property
    def number(self) -> int:
        return LESSONS.index(self) + 1

    @property
    def heading(self) -> str:
        """`3 of 12 · Its title`; of a view's own question its title alone."""
        return f"{self.number} of {len(LESSONS)} · {self.title}" if self.minutes else self.title

    def right(self, facts: Facts) -> list[str]:
        """The options that hold for what the page measured."""
        return [option for option, holds in self.options.items() if holds(facts)]

    @property
    def place(self) -> navigation.Place:
        return navigation.Place(self.page, state=self.state, lesson=self.name)


def current(page: str) -> Lesson | None:
    """The lesson that the link of this page opens."""
    return next((one for one in LESSONS if (one.page, one.name) == (page, controls.lesson())), None)


def of_view(page: str, view: str, question: str, options: Options) -> Lesson:
    """The question of a view, to ask a class or oneself there."""
    row = controls.CONTROLS.get(next(iter(navigation.PAGES[page].controls), ""))
    title = navigation.PAGES[page].title
    if row and view in row.choices:
        title += f" · {row.choices[view]}"
    return Lesson(f"{page}/{view}", title, 0, page, {}, question, "", options)


def options_of(name: str) -> Options:
    """Those of a lesson, for the view that it opens."""
    return next(one.options for one in LESSONS if one.name == name)


def which(fact: str, *names: str, other: str = "") -> Options:
    """`valued` of methods or curves, by their titles."""
    return valued(fact, {name: title(name) for name in names}, other)


def valued(fact: str, options: Mapping[Any, str], other: str = "") -> Options:
    """The option of each value of a fact; `other` where it has none of them.

    options: value -> option; of a fact that is a set the values are frozen ones.
    """
    found: dict[str, Callable[[Facts], bool]] = {
        option: partial(_is, fact, value) for value, option in options.items()
    }
    return found | ({other: lambda seen: seen[fact] not in list(options)} if other else {})


def leading(behind: str, ahead: str, unsettled: str) -> Options:
    """What paired trainings say: of the facts `settled`, and `lead`, which is above 0 if ahead."""
    return {
        behind: lambda seen: seen["settled"] and seen["lead"] < 0,
        ahead: lambda seen: seen["settled"] and seen["lead"] > 0,
        unsettled: lambda seen: not seen["settled"],
    }


def within(fact: str, below: Mapping[float, str], beyond: str) -> Options:
    """An option for each range of a fact: below the first bound, from it to below the next, …."""
    bounds = [-math.inf, *below, math.inf]
    ranges = zip([*below.values(), beyond], bounds, bounds[1:], strict=False)
    return {option: partial(_is_within, fact, low, high) for option, low, high in ranges}


def _is_within(fact: str, low: float, high: float, seen: Facts) -> bool:
    return low <= seen[fact] < high


def _is(fact: str, value: Any, seen: Facts) -> bool:
    return seen[fact] == value


def show() -> None:
    """All lessons as links, in two columns."""
    minutes = sum(lesson.minutes for lesson in LESSONS)
    st.markdown(
        f"**Twelve lessons** · {minutes} minutes · each asks, you predict, the page answers"
    )
    with st.container(key="lessons"):
        half = (len(LESSONS) + 1) // 2
        for column, part in zip(st.columns(2), (LESSONS[:half], LESSONS[half:]), strict=True):
            with column, st.container(gap=None):
                for lesson in part:
                    label = f"{lesson.number}. {lesson.title} · {lesson.minutes} min"
                    navigation.link(
                        lesson.page, label=label, state=lesson.state, lesson=lesson.name
                    )


def show_bar(lesson: Lesson) -> DeltaGenerator:
    """Its number, question, options and task; returns the place for the verdict on the options."""
    show_question(lesson)
    verdict = show_options(lesson)
    if not controls.presenting():
        st.caption(lesson.task)
    return verdict


def show_options(lesson: Lesson) -> DeltaGenerator:
    """Its options, one to choose; returns the place for the verdict on them.

    Until the answer is asked for, its button stands in that place.
    """
    predictions = _predictions()
    with st.container(horizontal=True, vertical_alignment="center"):
        if lesson.options:
            chosen = st.pills(
                "Your prediction",
                list(lesson.options),
                default=predictions.get(lesson.name),
                key=f"_prediction_{lesson.name}",
                label_visibility="collapsed",
                wrap=True,
            )
            predictions[lesson.name] = chosen
        verdict = st.empty()
        if not is_revealed(lesson):
            verdict.button(
                "Show the answer",
                icon=":material/key:",
                key=f"_reveal_{lesson.name}",
                on_click=show_answer,
                args=(lesson,),
            )
    return verdict


def show_question(lesson: Lesson) -> None:
    """Its number, title and question."""
    st.markdown(f"**{lesson.heading}.** {lesson.question}")


def is_revealed(lesson: Lesson) -> bool:
    """Whether its answer was asked for in this session, or the link shows all."""
    return lesson.name in _revealed() or controls.shows_answers()


def show_verdict(lesson: Lesson, place: DeltaGenerator, facts: Facts) -> None:
    """Which options hold, once that was asked for."""
    if not is_revealed(lesson):
        return
    right = lesson.right(facts) if facts else []
    if not right:
        place.markdown("The page does not show it now.")
        return
    chosen = _predictions().get(lesson.name)
    icon = ":material/check_circle:" if chosen in right or chosen is None else ":material/cancel:"
    told = listed(f"**{option}**" for option in right)
    place.markdown(f"{icon} Here: {told}")


def show_answer(lesson: Lesson) -> None:
    """Show its answer in this session, from now on."""
    _revealed().add(lesson.name)


def hide_answer(lesson: Lesson) -> None:
    """Hide its answer again."""
    _revealed().discard(lesson.name)


def predict(lesson: Lesson, option: str) -> None:
    """Note what was predicted elsewhere, as in a class."""
    _predictions()[lesson.name] = option


def named(name: str) -> Lesson | None:
    """The lesson of this name."""
    return next((one for one in LESSONS if one.name == name), None)


def _predictions() -> dict[str, str | None]:
    """Lesson -> the option chosen in this session."""
    predictions: dict[str, str | None] = st.session_state.setdefault("_predictions", {})
    return predictions


def _revealed() -> set[str]:
    revealed: set[str] = st.session_state.setdefault("_revealed", set())
    return revealed


LESSONS: tuple[Lesson, ...] = (
    Lesson(
        *("outlier", "One outlier", 4, "steps"),
        {"method": "batch", "x": TABLES["outlier"]},
        "One number is far too large. Which results does it spoil?",
        "See which results changed. Then take layer norm.",
        valued(
            "spoils",
            {"column": "Its column", "row": "Its row", "all": "All of them"}
            | {"cell": "Itself alone", "none": "None"},
        ),
    ),
    Lesson(
        *("relu", "What ReLU cuts", 4, "steps"),
        {"show": "relu"},
        "ReLU follows the normalization. How much of the table does it set to 0?",
        "Move beta to −1, then to 1. Which number decides how much is cut?",
        within(
            "cut",
            {1e-9: "Nothing", 1 / 3: "Less than a third", 0.66: "About half"},
            "Two thirds or more",
        ),
    ),
    Lesson(
        *("undo", "Can gamma and beta undo it?", 4, "steps"),
        {"show": "undo"},
        "Can some gamma and beta give back the numbers that were normalized?",
        "Choose Undo, then look at the next batch with the same gamma and beta.",
        {
            "Yes, always": lambda seen: seen["here"] and seen["next"],
            "For this batch only": lambda seen: seen["here"] and not seen["next"],
            "No": lambda seen: not seen["here"],
        },
    ),
    Lesson(
        *("one", "A batch of one", 5, "activations"),
        {"batch": 1, "stage": "hidden", "methods": ("batch", "layer")},
        "The batch is a single digit. What does batch norm leave of it in the hidden layer?",
        "Compare batch norm with layer norm. Then move the batch size to 2.",
        {
            "Its shape": lambda seen: seen["std"] >= 1e-6 and seen["batch"] > 2,
            "Only a sign per unit": lambda seen: seen["std"] >= 1e-6 and seen["batch"] == 2,
            "Nothing": lambda seen: seen["std"] < 1e-6,
        },
    ),
    Lesson(
        *("inference", "Whose mean at test time?", 6, "batch_lab"),
        {"lab": "inference"},
        "A trained network reads one image alone and uses that image's own mean. What is lost?",
        "Read the curve at a test batch of 1. Then find the size at which nothing is lost.",
        within("lost", {0.01: "Nothing", 0.2: "A few points"}, "Nearly everything"),
    ),
    Lesson(
        *("mates", "Batch-mates", 6, "batch_lab"),
        {"lab": "mates"},
        "One digit is read 200 times with other batch-mates. Does its answer depend on them?",
        "Find the method whose answers are a cloud. Then let all batch-mates be 1s.",
        {
            "With no method": lambda seen: not seen["depends"],
            "With batch norm": lambda seen: seen["depends"] == {"batch"},
            "With every method": lambda seen: len(seen["depends"]) > 2,
        },
    ),
    Lesson(
        *("terms", "One gradient comes in", 5, "backward"),
        {"pass": "terms", "dz": "one", "method": "batch"},
        "The loss asks one number to change. Which numbers get a gradient?",
        "Look at dx. Then take layer norm; then treat the statistics as constants.",
        valued(
            "reached",
            {"cell": "That one", "column": "Its column", "row": "Its row", "none": "None"},
        ),
    ),
    Lesson(
        *("check", "A check that proves nothing", 6, "backward"),
        {"pass": "check", "method": "batch", "mistake": "statistics as constants"},
        "This backward pass treats μ and σ as constants; dγ and dβ are right. Is it correct?",
        "Find the row that fails. Then take the mistake out.",
        {
            "Yes": lambda seen: not seen["wrong"],
            "No: dx is wrong": lambda seen: "x" in seen["wrong"] and "gamma" not in seen["wrong"],
            "No: dγ is wrong too": lambda seen: "gamma" in seen["wrong"],
        },
    ),
    Lesson(
        *("rate", "A hundred times faster", 8, "compare"),
        {"lr": 1.0, "placement": "conv and dense", "epochs": 2, "seeds": "3"},
        "The learning rate is a hundred times the report's. Which trainings survive?",
        "Find the survivors. Then start at 0.001 (More settings): what becomes of ‖W‖ in one step?",
        valued(
            "survivors",
            {
                frozenset(): "None",
                frozenset({"batch", "layer"}): "Batch and layer norm",
                frozenset({"batch", "layer", "weight"}): "All but no normalization",
            },
            "Others",
        ),
    ),
    Lesson(
        *("depth", "Twenty layers", 3, "depth"),
        {"deep": "map"},
        "Twenty layers, each method at its best rate: which networks read more than half?",
        "Compare the framed cells. Then move the start scale to 0.1414.",
        valued(
            "read",
            {
                frozenset(): "None",
                frozenset({"batch", "layer"}): "Batch and layer norm",
                frozenset(controls.FOUR_METHODS): "All",
            },
            "Others",
        ),
    ),
    Lesson(
        *("shift", "Covariate shift?", 3, "why"),
        {"why": "shift"},
        "Noise makes every input of a layer jump, more than without normalization. Then it reads …",
        "Compare what moves; then the accuracies in the answer.",
        leading("Worse than without", "Better all the same", "These seeds cannot tell"),
    ),
    Lesson(
        *("filters", "Why weight norm lost", 6, "report"),
        {"part": "weight"},
        "In the report weight norm came last, with "
        f"{report.PUBLISHED['weight'].accuracy:.1%}, behind no normalization. Whose fault is that?",
        "Look at the thirty filters. Then train as the equations say: is it ahead now?",
        leading(
            "The method's: trained, it is still behind",
            "The program's: trained, it is ahead",
            "Three seeds cannot tell",
        ),
    ),
)
