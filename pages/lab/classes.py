"""A class: a code to join by, the lecturer's questions, and one vote of each student on each.

It lies in the file of the runs, and each vote is one transaction that is on the disk when `vote`
returns. It ends by itself after a day. What guards it:

- The lecturer's key has 128 random bits, of which the file keeps a digest. Whoever has not got it
  cannot ask, close, reveal or count.
- A code is one of 31⁵ = 29 million, and an address has so many wrong ones an hour.
- A voter is the name of a browser, so that a reload, a second tab and a second tap count once.
  Nobody logs in: whoever takes another browser, or a private window, votes once more.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from pages.lab.store import Store, tables
from pages.lab.votes import Question, Vote

LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that is read as another
LENGTH = 5
SECONDS = 24 * 3600.0  # until a class ends by itself
WRONG_CODES = 200  # of one address in an hour; a whole room may share one
MOST_CLASSES = 200
MOST_VOTES = 3000  # on one question
MOST_RUNS = 1000  # in the list of a class
# Phase -> those that may follow. Whoever asks the next question begins with the first again.
NEXT: Mapping[str, tuple[str, ...]] = {
    "asked": ("closed",),
    "closed": ("shown", "revealed"),
    "shown": ("second", "revealed"),
    "second": ("closed again",),
    "closed again": ("revealed",),
    "revealed": (),
}
SECOND = ("second", "closed again")

_T = TypeVar("_T")


def _columns(text: str, numbers: str) -> list[sa.Column]:
    texts = [sa.Column(name, sa.Text, nullable=False) for name in text.split()]
    return texts + [sa.Column(name, sa.Double, nullable=False) for name in numbers.split()]


def _key(*names: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*names)


_classes = sa.Table("classes", tables, *_columns("code digest here", "began"), _key("code"))
_questions = sa.Table(
    "class_questions",
    tables,
    *_columns("code lesson text options phase settled link", "number second_vote"),
    _key("code", "number"),
)
_votes = sa.Table(
    "votes",
    tables,
    *_columns("code voter option", "number second sure at"),
    _key("code", "number", "second", "voter"),
)

_trained = sa.Table("class_runs", tables, *_columns("code run", "number"), _key("code", "run"))


class Refused(ValueError):
    """What a class does not allow, as a sentence for whoever asked for it."""


@dataclass(frozen=True)
class State:
    """What everybody in a class may know. here: the link that the lecturer has sent."""

    code: str
    ends: float
    here: str
    question: Question | None


class Classes:
    """All classes of a server. A method that changes something raises `Refused`."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock
        self._lock = threading.Lock()
        self._read: dict[str, tuple[float, State | None]] = {}
        self._hour, self._wrong = 0, Counter[str]()
        # A file from before there were classes has none of their tables.
        own = [_classes, _questions, _votes, _trained]
        store.write(lambda connection: tables.create_all(connection, own))

    # ---- everybody ---------------------------------------------------------------------------

    def join(self, typed: str, address: str = "") -> str:
        """The code of a running class, from what somebody has typed or followed."""
        code = typed.strip().upper()
        with self._lock:
            hour = int(self._clock() // 3600)
            if hour != self._hour:
                self._hour, self._wrong = hour, Counter()
            if self._wrong[address] >= WRONG_CODES:
                raise Refused("Too many wrong codes came from here. Wait until the next hour.")
        if self.state(code) is None:
            with self._lock:
                self._wrong[address] += 1
            raise Refused("No class has this code now. A class ends a day after its start.")
        return code

    def state(self, code: str) -> State | None:
        """The class, at most a second old; None where there is none, or no longer."""
        now = self._clock()
        read, state = self._read.get(code, (-1.0, None))
        if not now - 1 < read <= now:
            state = self._store.attempt(lambda connection: self._state(connection, code), None)
            with self._lock:
                if len(self._read) > MOST_CLASSES:
                    self._read.clear()
                self._read[code] = (now, state)
        return state

    def vote(self, code: str, number: int, voter: str, option: str, sure: int = 0) -> bool:
        """Count a vote on the open question; False where this voter's counts already."""

        def write(connection: sa.Connection) -> bool:
            question = self._question(connection, code)
            if question is None or question.number != number or not question.is_open:
                raise Refused("This vote is closed.")
            if option not in question.options or sure not in range(4) or not 0 < len(voter) <= 64:
                raise Refused("There is no such option.")
            vote = {"code": code, "number": number, "second": question.phase == "second"}
            mine = sa.select(_votes.c.option).filter_by(**vote, voter=voter)
            if connection.scalar(mine) is not None:
                return False
            if connection.scalar(_count().filter_by(**vote)) >= MOST_VOTES:
                raise Refused(f"A question takes at most {MOST_VOTES:,} votes.")
            row = vote | {"voter": voter, "option": option, "sure": sure, "at": self._clock()}
            connection.execute(sa.insert(_votes).values(row))
            return True

        return self._change(code, write)

    def own(self, code: str, number: int, voter: str) -> dict[bool, str]:
        """What this voter chose: whether in the second vote -> option."""
        mine = [vote for vote in self._votes(code, number, voter=voter) if vote.voter == voter]
        return {vote.second: vote.option for vote in mine}

    def keep_run(self, code: str, run: str) -> None:
        """Count a training, by its key, among those of the class."""

        def write(connection: sa.Connection) -> bool:
            if self._class(connection, code) is None:
                raise Refused("This class is over.")
            known = set(connection.scalars(sa.select(_trained.c.run).filter_by(code=code)))
            if run not in known and len(known) < MOST_RUNS:
                row = {"code": code, "run": run, "number": len(known)}
                connection.execute(sa.insert(_trained).values(row))
            return True

        self._change(code, write)

    # ---- the lecturer ------------------------------------------------------------------------

    def start(self) -> tuple[str, str]:
        """A new class: its code, and the key that makes a lecturer of whoever has it."""
        key = secrets.token_urlsafe(16)

        def write(connection: sa.Connection) -> str:
            old = sa.select(_classes.c.code).where(_classes.c.began <= self._clock() - SECONDS)
            for table in (_trained, _votes, _questions, _classes):
                connection.execute(sa.delete(table).where(table.c.code.in_(old)))
            taken = set(connection.scalars(sa.select(_classes.c.code)))
            if len(taken) >= MOST_CLASSES:
                raise Refused(f"This server holds at most {MOST_CLASSES} classes at a time.")
            while (code := "".join(secrets.choice(LETTERS) for _ in range(LENGTH))) in taken:
                pass
            row = {"code": code, "digest": _digest(key), "here": "", "began": self._clock()}
            connection.execute(sa.insert(_classes).values(row))
            return code

        return self._change("", write), key

    def is_lecturer(self, code: str, key: str) -> bool:
        """Whether the key is that of this running class."""
        return self._store.attempt(lambda connection: self._holds(connection, code, key), False)

    def ask(self, code: str, key: str, lesson: str, text: str, options: Sequence[str]) -> None:
        """Ask the next question; one that is under way is over with that, and so is a place that
        the class was sent to: there may be the answer."""

        def write(connection: sa.Connection) -> None:
            last = self._question(connection, code)
            row = {"code": code, "number": last.number + 1 if last else 1, "lesson": lesson}
            row |= {
                "text": text,
                "options": json.dumps(list(options)),
                "phase": "asked",
                "second_vote": 0,
            }
            connection.execute(sa.insert(_questions).values(row | {"settled": "", "link": ""}))
            connection.execute(_sent(code, ""))

        self._command(code, key, write)

    def move(self, code: str, key: str, phase: str) -> None:
        """Lead the question to its next phase, one of `NEXT`."""

        def write(connection: sa.Connection) -> None:
            question = self._question(connection, code)
            if question is None or phase not in NEXT[question.phase]:
                raise Refused(f"The question cannot be {phase} now.")
            twice = question.voted_twice or phase == "second"
            self._update(connection, question, code, phase=phase, second_vote=float(twice))

        self._command(code, key, write)

    def settle(self, code: str, key: str, right: Sequence[str], link: str) -> None:
        """Write down what is right in a revealed question; what is written stays."""

        def write(connection: sa.Connection) -> None:
            question = self._question(connection, code)
            if question is None or question.phase != "revealed":
                raise Refused("The question is not revealed yet.")
            if question.right is None:
                self._update(connection, question, code, settled=json.dumps(list(right)), link=link)

        self._command(code, key, write)

    def send(self, code: str, key: str, link: str) -> None:
        """Show this link to the class as the place where it is."""
        self._command(code, key, lambda connection: connection.execute(_sent(code, link)))

    def count(self, code: str, question: Question) -> int:
        """How many have voted in the vote that is open, or was last."""
        second = question.phase in SECOND or (question.phase == "revealed" and question.voted_twice)
        wanted = {"code": code, "number": question.number, "second": second}
        ask = _count().filter_by(**wanted)
        return self._store.attempt(lambda connection: connection.scalar(ask) or 0, 0)

    def votes(self, code: str, key: str, number: int) -> list[Vote]:
        """The votes on a question; none for a wrong key."""
        return self._votes(code, number) if self.is_lecturer(code, key) else []

    def runs(self, code: str) -> list[str]:
        """The keys of the trainings of the class, in the order in which they were asked for."""
        wanted = sa.select(_trained.c.run).filter_by(code=code).order_by(_trained.c.number)
        return self._store.attempt(lambda connection: [*connection.scalars(wanted)], [])

    def questions(self, code: str, key: str) -> list[tuple[Question, list[Vote]]]:
        """All that was asked, in order, and the votes; nothing for a wrong key."""
        if not self.is_lecturer(code, key):
            return []
        wanted = sa.select(_questions).filter_by(code=code).order_by(_questions.c.number)
        read: list[sa.Row] = self._store.attempt(lambda on: [*on.execute(wanted)], [])
        questions = [_as_question(row) for row in read]
        return [(one, self._votes(code, one.number)) for one in questions]

    # ---- the file ----------------------------------------------------------------------------

    def _command(self, code: str, key: str, work: Callable[[sa.Connection], Any]) -> None:
        def write(connection: sa.Connection) -> bool:
            if not self._holds(connection, code, key):
                raise Refused("Only the lecturer of a running class can do this.")
            work(connection)
            return True

        self._change(code, write)

    def _change(self, code: str, write: Callable[[sa.Connection], _T]) -> _T:
        """`write` in one transaction; what was read of the class before is no longer used."""
        result = self._store.attempt(write, None, writing=True)
        self._read.pop(code, None)
        if result is None:
            raise Refused(self._store.problem.replace("Runs are", "Classes are"))
        return result

    def _holds(self, connection: sa.Connection, code: str, key: str) -> bool:
        row = self._class(connection, code)
        return row is not None and secrets.compare_digest(row.digest, _digest(key))

    def _class(self, connection: sa.Connection, code: str) -> sa.Row | None:
        running = _classes.c.began > self._clock() - SECONDS
        return connection.execute(sa.select(_classes).filter_by(code=code).where(running)).first()

    def _question(self, connection: sa.Connection, code: str) -> Question | None:
        """The latest of a class that runs."""
        if self._class(connection, code) is None:
            return None
        latest = sa.select(_questions).filter_by(code=code).order_by(_questions.c.number.desc())
        row = connection.execute(latest.limit(1)).first()
        return _as_question(row) if row else None

    def _state(self, connection: sa.Connection, code: str) -> State | None:
        row = self._class(connection, code)
        if row is None:
            return None
        return State(code, row.began + SECONDS, row.here, self._question(connection, code))

    def _update(
        self, connection: sa.Connection, question: Question, code: str, **values: str | float
    ) -> None:
        place = (_questions.c.code == code) & (_questions.c.number == question.number)
        connection.execute(sa.update(_questions).where(place).values(**values))

    def _votes(self, code: str, number: int, **of: str) -> list[Vote]:
        wanted = sa.select(_votes).filter_by(code=code, number=number, **of).order_by(_votes.c.at)
        read: list[sa.Row] = self._store.attempt(lambda on: [*on.execute(wanted)], [])
        return [Vote(row.voter, bool(row.second), row.option, int(row.sure)) for row in read]


def _sent(code: str, link: str) -> sa.Update:
    return sa.update(_classes).where(_classes.c.code == code).values(here=link)


def _count() -> sa.Select:
    return sa.select(sa.func.count()).select_from(_votes)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _as_question(row: sa.Row) -> Question:
    right = tuple(json.loads(row.settled)) if row.settled else None
    about = (int(row.number), row.lesson, row.text, tuple(json.loads(row.options)), row.phase)
    return Question(*about, right, row.link, bool(row.second_vote))
