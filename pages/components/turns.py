"""One script at a time, whoever it draws for; what takes long goes on beside it.

Python runs one thread at a time anyhow. Thirty scripts that all want to be the one spend more time
on handing over than on drawing: each takes three times as long as alone. A script holds the turn
while it draws, and gives it up around what takes long: loading TensorFlow, and whatever computes
for more than a moment. The picture that follows a slider is computed within the turn; several at
once would all be late.

Nobody may ask for the turn while others wait for what he holds. So `let_others` stands around the
call of a cached function, never within one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class _Turn:
    """A lock that goes to whoever has waited longest."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._line: deque[threading.Event] = deque()

    def begin(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            called = threading.Event()
            self._line.append(called)
        called.wait()

    def end(self) -> None:
        with self._guard:
            if self._line:
                self._line.popleft().set()  # handed over, so nobody can push in
            else:
                self._taken = False


_turn = _Turn()
_mine = threading.local()


@contextmanager
def take() -> Iterator[None]:
    """Wait for the turn and hold it; within a block that holds it already, nothing happens."""
    if _holds():
        yield
        return
    _begin()
    try:
        yield
    finally:
        _end()


@contextmanager
def let_others() -> Iterator[None]:
    """Give the turn up for a while, where this thread holds it."""
    if not _holds():
        yield
        return
    _end()
    try:
        yield
    finally:
        _begin()


def _holds() -> bool:
    return getattr(_mine, "turn", False)


def _begin() -> None:
    _turn.begin()
    _mine.turn = True


def _end() -> None:
    _mine.turn = False
    _turn.end()
