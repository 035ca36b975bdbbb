"""The latest results by key: what was asked before is not computed again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class Memory:
    """The latest results by key, at most so many: what a moved slider left alone is not redone.

    Whoever asks for a key first computes it, and all who ask meanwhile wait for that one result;
    an error goes to everybody who waited, and is forgotten. Where the one who computed was only
    called away (by an exception that is no `Exception`), the next who waited computes instead.
    """

    def __init__(self, most: int = 256):
        self.most = most
        self._results: OrderedDict[Hashable, Future] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The result for this key, from `compute()` if it is not there."""
        while True:
            with self._lock:
                future = self._results.get(key)
                mine = future is None
                if future is None:
                    future = self._results[key] = Future()
                    while len(self._results) > self.most:
                        self._results.popitem(last=False)
                self._results.move_to_end(key)
            if mine:
                return self._compute(key, future, compute)
            with suppress(_CalledAway):
                return future.result()

    def _compute(self, key: Hashable, future: Future, compute: Callable[[], T]) -> T:
        try:
            result = compute()
        except BaseException as error:
            with self._lock:
                if self._results.get(key) is future:
                    del self._results[key]
            future.set_exception(error if isinstance(error, Exception) else _CalledAway())
            raise
        future.set_result(result)
        return result


class _CalledAway(Exception):
    """Whoever was computing a result had to go, for a reason that is nobody else's."""
