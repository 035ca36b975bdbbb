"""One script draws at a time, whoever it draws for: Python runs one thread at a time anyhow.

A script holds the turn while it draws and gives it up around what takes long. `let_others` stands
around the call of a cached function, never within one, where others would wait for its holder.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from pages.lab import holds

_guard = threading.Lock()
_line: deque[threading.Event] = deque()  # in the order of coming; whose turn it is stands first
_mine = threading.local()


def take(cause: str = "a page") -> AbstractContextManager[None]:
    """Wait for the turn and hold it; within a block that holds it already, nothing happens.

    cause: how `holds` calls the time for which it is held at a stretch.
    """
    if not _holds():
        _mine.cause = cause
    return _holding(True)


def let_others() -> AbstractContextManager[None]:
    """Give the turn up for a while, where this thread holds it."""
    return _holding(False)


@contextmanager
def _holding(wanted: bool) -> Iterator[None]:
    change, back = (_begin, _end) if wanted else (_end, _begin)
    if _holds() == wanted:
        yield
        return
    change()
    try:
        yield
    finally:
        back()


def _holds() -> bool:
    return getattr(_mine, "holds", False)


def _begin() -> None:
    called = threading.Event()
    with _guard:
        _line.append(called)
        first = len(_line) == 1
    if not first:
        called.wait()
    _mine.holds, _mine.since = True, time.perf_counter()


def _end() -> None:
    _mine.holds = False
    holds.note(_mine.cause, time.perf_counter() - _mine.since)
    with _guard:
        _line.popleft()
        if _line:
            _line[0].set()
