"""A question to a class, its votes, and what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A question as it was asked.

    lesson: its name. right: the options that held where it was revealed; None until then. link:
    that place.
    voted_twice: whether there was a second vote.
    """

    number: int
    lesson: str
    text: str
    options: tuple[str, ...]
    phase: str
    right: tuple[str, ...] | None
    link: str
    voted_twice: bool

    @property
    def is_open(self) -> bool:
        return self.phase in ("asked", "second")


@dataclass(frozen=True)
class Vote:
    """sure: 0 where it was not said, else 1 (guessing) to 3."""

    voter: str
    second: bool
    option: str
    sure: int


def tally(question: Question, votes: Sequence[Vote]) -> dict[str, tuple[int, int]]:
    """Option -> how many chose it first, and in the second vote."""
    counted = Counter((vote.option, vote.second) for vote in votes)
    return {one: (counted[one, False], counted[one, True]) for one in question.options}


def share_right(question: Question, votes: Sequence[Vote], second: bool) -> float | None:
    """How much of one vote was right (0..1); None without a vote, or before the reveal."""
    chosen = [vote.option for vote in votes if vote.second == second]
    if question.right is None or not chosen:
        return None
    return sum(option in question.right for option in chosen) / len(chosen)


def moves(votes: Sequence[Vote]) -> list[tuple[str, str, int]]:
    """(from, to, how many) of those who voted twice and changed their mind; the most first."""
    first = {vote.voter: vote.option for vote in votes if not vote.second}
    second = {vote.voter: vote.option for vote in votes if vote.second}
    both = Counter((first[one], second[one]) for one in first.keys() & second.keys())
    return [(*pair, many) for pair, many in sorted(both.items(), key=_most) if len({*pair}) > 1]


def _most(item: tuple[tuple[str, str], int]) -> tuple[int, tuple[str, str]]:
    return -item[1], item[0]


def survivors(question: Question, votes: Sequence[Vote]) -> list[tuple[str, int, int]]:
    """(wrong option, how many chose it, of how many) in the last vote; the most first."""
    last = {one: both[question.voted_twice] for one, both in tally(question, votes).items()}
    wrong = [one for one in last if question.right is not None and one not in question.right]
    kept = [(one, last[one], sum(last.values())) for one in wrong if last[one]]
    return sorted(kept, key=lambda row: -row[1])


def confidence(votes: Sequence[Vote], option: str) -> float | None:
    """How sure those were who chose it and said so: the mean of 1 (guessing) to 3."""
    said = [vote.sure for vote in votes if vote.option == option and vote.sure]
    return sum(said) / len(said) if said else None
