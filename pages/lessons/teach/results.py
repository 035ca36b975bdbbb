"""What the class has voted so far, as a table and a file, and the wrong answers that stayed."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import streamlit as st

from pages.components import downloads, lesson_list, server
from pages.lab import words
from pages.lab.votes import Question, Vote, confidence, share_right, survivors, tally

if TYPE_CHECKING:
    from pages.components.classroom import Seat


def show(seat: Seat) -> None:
    asked = server.classes().questions(seat.code, seat.key)
    if not asked:
        return
    told = [f"- {title(question)}{how_right(question, votes)}" for question, votes in asked]
    st.markdown(f"**{words.count(len(asked), 'question')} asked**\n" + "\n".join(told))
    stayed = [
        f"- {title(question)} · **{option}** ({many} of {total})"
        for question, votes in asked
        for option, many, total in survivors(question, votes)
    ]
    if stayed:
        st.markdown("Wrong, and still chosen in the last vote:\n" + "\n".join(stayed))
    about = "How many chose each option, first and last, and how sure they were, from 1 to 3"
    downloads.file("Votes (CSV)", f"votes-{seat.code}.csv", lambda: as_csv(asked), about)


def how_right(question: Question, votes: list[Vote]) -> str:
    """` · 25% right, then 62%`; nothing before the reveal."""
    shares = [share_right(question, votes, second) for second in (False, True)]
    first, second = ("" if one is None else words.percent(one, 0) for one in shares)
    return f" · {first} right" + f", then {second}" * bool(second) if first else ""


def title(question: Question) -> str:
    lesson = lesson_list.named(question.lesson)
    return lesson.title if lesson else question.text


def as_csv(asked: list[tuple[Question, list[Vote]]]) -> str:
    """A line per question and option."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["question", "lesson", "option", "right", "first vote", "second vote", "sure"])
    for question, votes in asked:
        for option, (first, second) in tally(question, votes).items():
            right = "" if question.right is None else int(option in question.right)
            row = [question.number, title(question), option, right, first]
            sure = confidence(votes, option)
            row += [second if question.voted_twice else "", "" if sure is None else f"{sure:.2f}"]
            writer.writerow(row)
    return text.getvalue()
