"""The six lessons of the home page: a question to predict, a link with its state, an answer.

The numbers in an answer come from the recorded runs. What depends on the data in use is left to
the page that the link opens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

import streamlit as st

from pages.components import page
from pages.lab import report
from pages.lab.arithmetic import TABLES


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    page, state: where its link leads, and the settings there that are not at their default.
    task: what to do on that page.
    told: the answer; {as-run} and {as-written} stand for weight norm's accuracies.
    start: whether it is a good one to begin with.
    """

    name: str
    title: str
    minutes: int
    page: str
    state: Mapping[str, Any]
    question: str
    task: str
    told: str
    start: bool = False

    def answer(self) -> str:
        """What the page shows, and why, with the accuracies of the recorded runs in it."""
        columns = {one: report.recorded(one)["columns"]["weight"] for one in report.SETTINGS}
        return self.told.format(**{one: mean(of["accuracy"]) for one, of in columns.items()})


def show() -> None:
    """The lessons, folded: those to begin with on the left, the others on the right."""
    st.header("Six lessons", anchor=False)
    for column, title in zip(st.columns(2, gap="medium"), ("A good start", "Then"), strict=True):
        lessons = [lesson for lesson in LESSONS if lesson.start == (title == "A good start")]
        with column:
            st.markdown(f"**{title}** · {sum(lesson.minutes for lesson in lessons)} minutes")
            for lesson in lessons:
                _show_lesson(lesson)


def _show_lesson(lesson: Lesson) -> None:
    predictions = st.session_state.setdefault("_predictions", {})  # lesson -> what was written
    # Drawn when it is opened: six lessons at once keep the page from the screen for half a second.
    unfolded = st.expander(
        f"{LESSONS.index(lesson) + 1}. {lesson.title} · {lesson.minutes} min",
        icon=":material/star:" if lesson.start else ":material/school:",
        key=f"lesson_{lesson.name}",
        expanded=bool(predictions.get(lesson.name)),
        on_change="rerun",
    )
    if not unfolded.open:
        return
    with unfolded:
        st.markdown(f"**{lesson.question}**")
        predictions[lesson.name] = st.text_input(
            "Your prediction",
            predictions.get(lesson.name, ""),
            key=f"_prediction_{lesson.name}",
            max_chars=300,
            placeholder="Write it down before you look",
        )
        st.markdown(lesson.task)
        page.link(lesson.page, label=f"Open {page.PAGES[lesson.page].title}", state=lesson.state)
        with st.expander("Answer", icon=":material/key:", key=f"answer_{lesson.name}"):
            st.markdown(lesson.answer())


LESSONS: tuple[Lesson, ...] = (
    Lesson(
        *("outlier", "One outlier", 5, "steps"),
        {"method": "batch", "x": TABLES["outlier"]},
        "One number of a table is far too large. Which results does it spoil: those in its row, "
        "those in its column, or all?",
        "See which cells are highlighted. Then change the method to layer norm.",
        "With batch norm its column: the mean goes over all examples of one feature. With "
        "layer norm its row: the mean goes over all features of one example.",
        start=True,
    ),
    Lesson(
        *("one", "A batch of one", 8, "activations"),
        {"batch": 1, "stage": "hidden", "methods": ("batch", "layer")},
        "The batch is a single digit. What does batch norm leave of it in the hidden layer?",
        "Compare batch norm with layer norm. Then move the batch size to 2.",
        "Nothing. Each unit has one number, which is its own mean: x − μ is 0, and only β is "
        "left, whatever the digit shows. Layer norm averages over the units of one digit and "
        "needs no second one.",
        start=True,
    ),
    Lesson(
        *("rate", "A hundred times faster", 10, "compare"),
        {"lr": 1.0, "placement": "conv and dense", "epochs": 2, "seeds": "3"},
        "The learning rate is a hundred times the report's. Which trainings survive?",
        "Press Train all. Then, in More settings, normalize the convolution only, and train again.",
        "Batch norm and layer norm, with every seed. When the weights before them grow, so "
        "does the root they are divided by: a step that is too long corrects itself. Weight "
        "norm is a gamble: a long step of v corrects itself too, but nothing holds g. With "
        "normalization after the convolution only, none survives, because the dense layer's "
        "weights grow without check.",
        start=True,
    ),
    Lesson(
        *("mates", "Batch-mates", 8, "batch_lab"),
        {"lab": "mates"},
        "One digit is read 200 times, each time with different batch-mates. Does the answer "
        "depend on them?",
        "Find the method whose answers are a cloud. Then let all mates be 1s.",
        "Only with batch norm, and only while it uses the batch's own mean and variance: they "
        "come from all digits of the batch. With moving statistics, layer norm, weight norm "
        "or none, each digit is read by itself.",
    ),
    Lesson(
        *("check", "A check that proves nothing", 6, "backward"),
        {"pass": "check", "method": "batch", "mistake": "statistics as constants"},
        "A backward pass treats mean and root as constants. The gradients of γ and β are "
        "right to the last digit. Is it correct?",
        "Find the row that fails. Then take the mistake out.",
        "No. γ and β act after the mean and the root are known, so their gradients cannot "
        "notice. The gradient of x goes through both, and it is wrong. Check x.",
    ),
    Lesson(
        *("filters", "Why weight norm lost", 8, "report"),
        {"part": "weight"},
        f"In the report weight norm came last, with {report.PUBLISHED['weight'].accuracy:.1%}. "
        "A bad method, or a bad program?",
        "Look at the thirty filters after training.",
        "A bad program. The filters of the report's weight norm never learned: all thirty are the "
        "same box. Trained that way again, the network reads {as-run:.1%} of the test digits; with "
        "v and g trained, as the equations say, {as-written:.1%}.",
    ),
)
