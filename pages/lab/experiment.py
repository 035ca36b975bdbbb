"""One training as everybody sees it: waiting, under way, or ended with its run."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from normlib.config import CONV_FILTERS, PIXELS, TrainConfig
from normlib.mnist import Dataset
from normlib.run import EpochEnd, EpochResult, Event, Run, Started

if TYPE_CHECKING:
    from pages.lab.queue import Experiments

# What a status may be; besides, "failed" and "interrupted".
LIVE = frozenset({"queued", "running"})
FINAL = frozenset({"finished", "diverged"})  # an answer: it is not trained again
ENDED = FINAL | {"stopped"}  # there is a run to show

MOST_WORK = 5e11  # steps times weights: about half an hour on one core

_T = TypeVar("_T")


class Own(NamedTuple):
    """A training of somebody's own making: it is not kept, and nobody else is shown it.

    name: tells it from the lab's training with that config. train: as `normlib.training.train`.
    """

    name: str
    train: Callable[..., Run]

    def key(self, config: TrainConfig, checksum: str) -> str:
        return hashlib.sha256(f"{config.key(checksum)} {self.name}".encode()).hexdigest()[:32]


class QueueFull(ValueError):
    """A submission beyond a limit; the text is a sentence for the student."""


class Prefix(Sequence[_T]):
    """The first items of a list that only grows: what a copy would be, without copying."""

    def __init__(self, items: list[_T]) -> None:
        self._items = items
        self._length = len(items)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        chosen = range(self._length)[index]
        return self._items[chosen] if isinstance(chosen, int) else [self._items[i] for i in chosen]

    def __iter__(self) -> Iterator[_T]:
        return itertools.islice(self._items, self._length)

    def grown(self, more: Iterable[_T]) -> Prefix[_T]:
        """The same with more at its end; of several, only the longest may grow."""
        self._items.extend(more)
        return Prefix(self._items)


@dataclass(frozen=True)
class Snapshot:
    """What is known of an experiment at one moment; nothing in it changes any more.

    losses and accuracies (0..1, of each step's batch) have one value per step; steps is 0 until
    training has begun.  seconds are those spent, without the queue.
    """

    key: str
    config: TrainConfig
    status: str = "queued"
    message: str = ""
    step: int = 0
    steps: int = 0
    losses: Prefix[float] = field(default_factory=lambda: Prefix([]))
    accuracies: Prefix[float] = field(default_factory=lambda: Prefix([]))
    epochs: Prefix[EpochResult] = field(default_factory=lambda: Prefix([]))
    recorded: Mapping[str, Prefix] = field(default_factory=dict)
    seconds: float = 0.0
    images_per_second: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until it ends, once it runs; None if unknown."""
        if self.status not in LIVE:
            return 0.0
        if not self.steps or not self.images_per_second:
            return None
        return (self.steps - self.step) * self.config.batch_size / self.images_per_second


class Experiment:
    """One question, from the queue to its result; made by `Experiments`, read by everybody.

    status is "queued", "running", "finished", "stopped", "diverged", "failed", or "interrupted":
    begun by a server that died, and to be submitted again.  run is the result, where there is one.
    recorded says when and on what a run that ships with the package was made; "" for all others.
    """

    def __init__(
        self, owner: Experiments, key: str, config: TrainConfig, data_name: str, data_checksum: str
    ) -> None:
        self.key = key
        self.config = config
        self.data_name = data_name
        self.data_checksum = data_checksum
        self.created = time.time()
        self.run: Run | None = None
        self.recorded = ""
        self._owner = owner
        self._over = threading.Event()
        self._now = Snapshot(key, config)  # replaced by one thread at a time
        # These belong to the queue, and are read and written under its lock.
        self._data: Dataset | None = None
        self._own: Own | None = None
        self._watchers: set[str] = set()
        self._stopping = False
        self._so_far: Run | None = None  # what it goes on from
        self._began = 0.0  # when its stretch did, and after how many steps
        self._began_at = 0
        self._paused = self._aside = False  # told to stop for a moment; for somebody else
        self._saved = True
        self._bytes = 0  # about what its run takes in memory
        self._previous: Experiment | None = None  # what comes back if this one never begins

    @property
    def status(self) -> str:
        return self._now.status

    @property
    def message(self) -> str:
        """A sentence on how it ended, "" while there is nothing to say."""
        return self._now.message

    @property
    def position(self) -> int | None:
        """How many trainings start before this one does; None once it has begun."""
        return self._owner._position(self)

    def snapshot(self) -> Snapshot:
        """What is known now; the very same object as long as nothing changes."""
        return self._now

    def wait_until_over(self, timeout: float | None = None) -> bool:
        """Block until it has ended, at most `timeout` seconds; whether it has."""
        return self._over.wait(timeout)

    def _add(self, event: Event) -> None:
        now = self._now
        changes: dict[str, Any]
        if isinstance(event, Started):
            changes = {"steps": event.steps}
        elif isinstance(event, EpochEnd):
            changes = {"epochs": now.epochs.grown([event.result])}
        else:
            recorded = dict(now.recorded)
            for name, rows in event.recorded.items():
                recorded[name] = recorded.get(name, Prefix([])).grown(rows)
            changes = {
                **vars(event),
                "losses": now.losses.grown(event.losses),
                "accuracies": now.accuracies.grown(event.accuracies),
                "recorded": recorded,
            }
        self._now = replace(now, **changes)

    def _go_on(self, run: Run) -> None:
        """Have what a stopped run has, as far as nobody has been told of it."""
        if len(self._now.losses) < len(run.losses):
            copies = {name: Prefix(list(rows)) for name, rows in run.recorded.items()}
            self._now = replace(
                self._now,
                step=len(run.losses),
                losses=Prefix(list(run.losses)),
                accuracies=copies.pop("batch_accuracies", Prefix([])),
                epochs=Prefix(list(run.epochs)),
                recorded=copies,
                seconds=run.seconds,
            )

    def _set(self, status: str, message: str = "", run: Run | None = None) -> None:
        changes: dict[str, Any] = {}
        if run is not None:
            # The run's own lists from here on: no second copy is kept.
            self.run = run
            self._bytes = _bytes_of(run)
            recorded = {name: Prefix(rows) for name, rows in run.recorded.items()}
            changes = {
                "step": len(run.losses),
                "steps": self._now.steps or len(run.losses),
                "losses": Prefix(run.losses),
                "accuracies": recorded.get("batch_accuracies", self._now.accuracies),
                "epochs": Prefix(run.epochs),
                "recorded": recorded,
                "seconds": run.seconds,
                "images_per_second": run.images_per_second,
            }
        self._now = replace(self._now, status=status, message=message, **changes)
        if status not in LIVE:
            self._data = self._previous = self._so_far = None
            self._over.set()


def refuse_too_large(config: TrainConfig, data: Dataset) -> None:
    """QueueFull where steps times weights are beyond what a shared server can give to one."""
    images, width = min(config.train_size, len(data.train_images)), config.hidden_units
    steps = -(-images // config.batch_size) * config.epochs
    inputs = PIXELS + width * config.depth if config.depth else CONV_FILTERS * PIXELS // 4  # pooled
    weights = width * (inputs + 10)
    if steps * weights > MOST_WORK:
        raise QueueFull(
            f"{steps:,} steps of a network with {weights:,} weights are too many for a server that "
            "others use: take larger batches, or fewer epochs, images or hidden units."
        )


def is_answer(run: Run | None, weights: bool) -> bool:
    """Whether this run answers for good a question that needs its weights, or does not."""
    if run is None or run.status not in FINAL:
        return False
    return run.status == "diverged" or not weights or any(run.weights)


def _bytes_of(run: Run) -> int:
    """About what the run takes in memory."""
    numbers = 2 * len(run.losses) + sum(len(r) * np.size(r[0]) for r in run.recorded.values() if r)
    return 32 * numbers + sum(array.nbytes for array in run.arrays().values())
