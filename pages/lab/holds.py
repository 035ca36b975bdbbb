"""What held others up: of each cause the longest time since the server began, in seconds."""

from __future__ import annotations

import threading

_lock = threading.Lock()
_longest: dict[str, float] = {}


def note(cause: str, seconds: float) -> None:
    """This took so long, while others may have waited for it."""
    with _lock:
        _longest[cause] = max(seconds, _longest.get(cause, 0.0))


def longest() -> dict[str, float]:
    """Cause -> seconds, the longest first."""
    with _lock:
        return dict(sorted(_longest.items(), key=lambda one: -one[1]))
