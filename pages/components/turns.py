"""One script draws at a time, whoever it draws for: Python runs one thread at a time anyhow.

A script holds the turn while it draws and gives it up around what takes long. `let_others` stands
around the call of a cached function, never within one, where others would wait for its holder.
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
        self._line: deque[threading.Event] = deque()  # the holder stands first

    def begin(self) -> None:
        called = threading.Event()
        with self._guard:
            self._line.append(called)
            first = len(self._line) == 1
        if not first:
            called.wait()

    def end(self) -> None:
        with self._guard:
            self._line.popleft()
            if self._line:
                self._line[0].set()


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
    return getattr(_mine, "holds", False)


def _begin() -> None:
    _turn.begin()
    _mine.holds = True


def _end() -> None:
    _mine.holds = False
    _turn.end()
