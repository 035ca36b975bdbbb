"""What somebody will probably ask for next, computed while nobody waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from normlib.threads import give_way

MOST_WAITING = 32  # series of tasks; what was asked for longest ago is forgotten first
QUIET_SECONDS = 0.3  # after the latest call: until then a browser draws what the call was about

_series: deque[Iterator[Callable[[], object]]] = deque(maxlen=MOST_WAITING)
_there_are_some = threading.Condition()
_thread: threading.Thread | None = None
_latest = 0.0


def prepare(tasks: Iterator[Callable[[], object]]) -> None:
    """Do these one by one, before those of earlier calls, in a thread that gives way to all others.

    The tasks, and how they are found, must not need a session.
    """
    global _thread, _latest
    with _there_are_some:
        _latest = time.monotonic()
        _series.append(tasks)
        if _thread is None:
            _thread = threading.Thread(target=_work, name="ahead", daemon=True)
            _thread.start()
        _there_are_some.notify()


def _work() -> None:
    give_way()
    while True:
        with _there_are_some:
            _there_are_some.wait_for(lambda: _series)
        while (left := _latest + QUIET_SECONDS - time.monotonic()) > 0:
            time.sleep(left)
        newest = _series[-1]
        try:
            task = next(newest, None)
            if task is not None:
                task()
                continue
        except Exception:  # whoever asks for it will be told; here nobody listens
            logging.getLogger(__name__).exception("Something could not be prepared")
        with _there_are_some:
            if newest in _series:
                _series.remove(newest)
