"""Many trainings at once, for the command line: one per core, kept in the store like the app's.

What the store has is not trained again, so a command that was interrupted goes on where it was.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from normlib.run import Event, Progress, Run
from pages.lab.recorded import cores
from pages.lab.store import Store

T = TypeVar("T")
_LOOK_SECONDS = 0.5


def train_all(
    configs: Mapping[str, TrainConfig],
    data: Dataset,
    store: Store | None,
    keep: Callable[[Run], T],
    weights: Collection[str] = (),
) -> dict[str, T]:
    """`keep(run)` of every training, by the name that `configs` gives it.

    keep: called in the training's thread; what it drops, such as weights, takes no memory.
    weights: the names of the trainings whose weights are needed: one whose weights the store had
        to drop is trained again.
    RuntimeError if one fails, when all others are over. Interrupted, it stops what runs and keeps
    what there is of it.
    """
    from normlib.training import train  # loads TensorFlow

    stop = threading.Event()
    progress = _Progress(len(configs))

    def one(name: str) -> T:
        config = configs[name]
        run = store.load(config.key(data.checksum)) if store else None
        ended = run is not None and run.status in ("finished", "diverged")
        if run is None or not ended or (name in weights and not any(run.weights)):
            run = train(config, data, partial(progress.take_in, name), stop.is_set)
            if store:
                store.save(run)
        kept = keep(run)
        progress.took(name, run)
        return kept

    with ThreadPoolExecutor(min(cores(), max(1, len(configs)))) as pool:
        futures = {pool.submit(one, name): name for name in configs}
        try:
            _watch(futures, progress)
        except KeyboardInterrupt:
            print("\nStopping. What is finished is kept.", file=sys.stderr)
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    failed = [(name, future.exception()) for future, name in futures.items() if future.exception()]
    if failed:
        name, error = failed[0]
        raise RuntimeError(f"The training {name} failed ({_why(error)}).") from error
    return {name: future.result() for future, name in futures.items()}


def _watch(futures: Mapping[Future[T], str], progress: _Progress) -> None:
    """Return when all are over; meanwhile show how far they are."""
    going = set(futures)
    while going:
        over, going = wait(going, _LOOK_SECONDS, FIRST_COMPLETED)
        for future in over:
            error = future.exception()
            progress.ended(futures[future], _why(error) if error else "")
        progress.draw()


def _why(error: BaseException | None) -> str:
    first, *_ = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {first}"


class _Progress:
    """On stderr: a line for each training that ended and, on a terminal, one on those under way."""

    def __init__(self, count: int) -> None:
        self.count, self.done, self.width = count, 0, 0
        self.began = time.monotonic()
        # Filled by the trainings' threads, read by the one that waits for them.
        self.under_way: dict[str, Progress] = {}
        self.results: dict[str, str] = {}

    def take_in(self, name: str, event: Event) -> None:
        if isinstance(event, Progress):
            self.under_way[name] = event

    def took(self, name: str, run: Run) -> None:
        accuracy = run.test_accuracy
        how = run.message or run.status
        self.results[name] = how if accuracy is None else f"{accuracy:.2%} in {run.seconds:.0f} s"

    def ended(self, name: str, trouble: str) -> None:
        self.done += 1
        self.under_way.pop(name, None)
        self._write(f"{name:>12}  {trouble or self.results.pop(name)}", "\n")

    def draw(self) -> None:
        if not sys.stderr.isatty():
            return
        words = [f"{self.done} of {self.count} done, {time.monotonic() - self.began:.0f} s"]
        for name, now in list(self.under_way.items()):
            words.append(f"{name} {now.step / now.steps:.0%}, loss {now.losses[-1]:.3f}")
        most = shutil.get_terminal_size().columns - 1
        self._write(" · ".join(words)[:most], "" if self.done < self.count else "\n")

    def _write(self, line: str, end: str) -> None:
        """Over the line that was there before, where it was left open."""
        start = f"\r{' ' * self.width}\r" if self.width else ""
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)
        self.width = 0 if end else len(line)
