"""What the class has voted so far, as a table and a file, and the wrong answers that stayed."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import streamlit as st

from pages.components import downloads, lesson_list, server
from pages.lab import words

if TYPE_CHECKING:
    from pages.components.classroom import Seat
    from pages.lab.classes import Question, Vote


def show(seat: Seat) -> None:
    from pages.lab import classes

    asked = server.classes().questions(seat.code, seat.key)
    if not asked:
        return
    st.markdown(f"**{words.count(len(asked), 'question')} asked**")
    stayed = [
        f"- {title(question)}: **{option}** ({many} of {total})"
        for question, votes in asked
        for option, many, total in classes.survivors(question, votes)
    ]
    if stayed:
        st.markdown("Wrong, and still chosen in the last vote:\n" + "\n".join(stayed))
    about = "Per question and option: how many chose it first, and after discussion"
    downloads.file("Votes (CSV)", f"votes-{seat.code}.csv", lambda: as_csv(asked), about)


def title(question: Question) -> str:
    lesson = lesson_list.named(question.lesson)
    return lesson.title if lesson else question.lesson


def as_csv(asked: list[tuple[Question, list[Vote]]]) -> str:
    """A line per question and option."""
    from pages.lab import classes

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["question", "lesson", "option", "right", "first vote", "second vote"])
    for question, votes in asked:
        for option, (first, second) in classes.tally(question, votes).items():
            right = "" if question.right is None else int(option in question.right)
            row = [question.number, title(question), option, right, first]
            writer.writerow([*row, second if question.voted_twice else ""])
    return text.getvalue()
