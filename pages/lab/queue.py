"""One queue of trainings for the whole process: one run per question, shared by all who ask.

Worker threads take trainings in turn from the sessions that wait; pages submit, watch and poll.
Nothing here knows Streamlit, and TensorFlow is imported by the first training, not by the queue.
"""

from __future__ import annotations

import hashlib
import heapq
import importlib
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from normlib.run import Event, Progress, Run
from pages.lab import recorded as recorded_runs
from pages.lab.experiment import FINAL, LIVE, Experiment
from pages.lab.store import RunSummary, Store
from pages.lab.threads import give_way

QUEUE_LIMIT = 200
SESSION_LIMIT = 40
KEPT_RUNS = 64
KEPT_FAILURES = 1024  # and others that left no run
KEPT_BYTES = 64 * 2**20  # of runs that are on disk too
UNSAVED_BYTES = 192 * 2**20  # in all, where some are not
PATIENCE_SECONDS = 3600.0
_KEPT_SESSIONS = 4096

_log = logging.getLogger(__name__)


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


@dataclass
class _Session:
    seen: float = -math.inf  # when its page was last heard of
    turn: int = 0  # when a worker last began a training of its


class Experiments:
    """The queue: submit a config, get the one experiment that answers it.

    The order is fair by session: whoever was served longest ago comes next, and a session that
    was never served comes before all that were.  At most `workers` trainings run at a time (one
    per core, if None), `limit` may wait, `per_session_limit` of them for one session.

    Watching ends by an explicit `unwatch` only, so a closed laptop, a reload or a lost connection
    loses nothing.  The one exception: a training whose every watcher has not been heard from for
    an hour (`seen`) gives way as soon as somebody who is still there waits for a worker; what it
    has so far is kept as a stopped run.

    `train` stands in for `normlib.training.train`, in tests.  Safe to use from many threads.
    """

    def __init__(
        self,
        data: Dataset,
        store: Store | None = None,
        workers: int | None = None,
        limit: int = QUEUE_LIMIT,
        per_session_limit: int = SESSION_LIMIT,
        train: Callable[..., Run] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.data = data
        self.store = store
        self.workers = workers or recorded_runs.cores()
        self.limit = limit
        self.per_session_limit = per_session_limit
        self._train = train
        self._clock = clock
        self._lock = threading.RLock()
        self._reading = threading.Lock()  # one reads the store, thirty who ask the same wait
        self._known: OrderedDict[str, Experiment] = OrderedDict()  # live ones and recent ends
        self._running: list[Experiment] = []
        self._waiting: dict[str, Experiment] = {}  # as they came
        self._order: list[Experiment] | None = None  # as they will start, until something changes
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._turn = 0
        self._threads = 0
        self._speeds: dict[tuple[str, str], float] = {}  # (method, placement): images per second

    # For pages

    def submit(
        self,
        config: TrainConfig,
        session: str,
        data: Dataset | None = None,
        weights: bool = False,
        own: Own | None = None,
    ) -> Experiment:
        """The experiment for this config on `data` (None: the queue's own), watched by `session`.

        The same one for everybody who asks the same; one that came to its end returns at once,
        from memory or the store.  What was stopped, interrupted or failed starts again, and, with
        `weights`, what finished and had to let its weights go.  own: train so, and keep nothing.
        QueueFull, with a sentence, if too many are waiting.
        """
        data = self.data if data is None else data
        key = own.key(config, data.checksum) if own else config.key(data.checksum)
        stored = None if own else self._recall(key)
        with self._lock:
            live = self.watch(key, session)
            if live is not None:
                return live
            known = self._known.get(key, stored)
            if known is not None and _is_answer(known.run, weights):
                return known
            self._refuse_beyond_limits(session)
            experiment = Experiment(self, key, config, data.name, data.checksum)
            experiment._data, experiment._own = data, own
            experiment._previous = known if known is not None and known.run else None
            experiment._watchers.add(session)
            self._known[key] = self._waiting[key] = experiment
            self._known.move_to_end(key)
            self._order = None
            if self._threads < self.workers:
                self._threads += 1
                threading.Thread(target=self._work, name="normlib-training", daemon=True).start()
            return experiment

    def find(self, key: str) -> Experiment | None:
        """The experiment with this key, as after a deep link: from memory, the store, or None.

        Where this server never trained it, a run that ships with the package stands in; `submit`
        knows nothing of those, and trains.
        """
        stored = self._recall(key)
        with self._lock:
            known = self._known.get(key, stored)
        return known or self._shipped(key)

    def watch(self, key: str, session: str) -> Experiment | None:
        """Attach `session` to an experiment that is queued or running; None if there is none."""
        with self._lock:
            self.seen(session)
            experiment = self._known.get(key)
            if experiment is None or experiment.status not in LIVE or experiment._stopping:
                return None
            experiment._watchers.add(session)
            self._order = None
            return experiment

    def unwatch(self, key: str, session: str) -> None:
        """Stop, for this session: the training itself ends when nobody watches it any more."""
        with self._lock:
            experiment = self._known.get(key)
            if experiment is None or session not in experiment._watchers:
                return
            experiment._watchers.discard(session)
            self._order = None
            if experiment.status == "queued" and not experiment._watchers:
                del self._waiting[key]
                self._known[key] = experiment._previous or experiment
                experiment._set("stopped", "Taken out of the queue before it began.")

    def watching(self, key: str, session: str) -> bool:
        """Whether this session is one of those who keep the experiment alive."""
        with self._lock:
            experiment = self._known.get(key)
            return experiment is not None and session in experiment._watchers

    def seen(self, session: str) -> None:
        """The heartbeat of a page: its session is still there."""
        with self._lock:
            self._session(session).seen = self._clock()
            self._sessions.move_to_end(session)
            while len(self._sessions) > _KEPT_SESSIONS:
                self._sessions.popitem(last=False)

    def earlier(self, limit: int = 50) -> list[RunSummary]:
        """The newest `limit` experiments, live, kept in memory or stored, newest first."""
        stored = self.store.list(limit) if self.store is not None else []
        found = {summary.key: summary for summary in stored}
        with self._lock:
            known = [each for each in self._known.values() if each._own is None]
        for experiment in known:
            never_began = experiment.status == "stopped" and experiment.run is None
            if experiment.status in LIVE or not (never_began or experiment.key in found):
                found[experiment.key] = _summary(experiment)
        return sorted(found.values(), key=lambda each: -each.changed)[:limit]

    # The queue, under its lock

    def _session(self, name: str) -> _Session:
        return self._sessions.setdefault(name, _Session())

    def _is_present(self, session: str) -> bool:
        return self._clock() - self._session(session).seen < PATIENCE_SECONDS

    def _refuse_beyond_limits(self, session: str) -> None:
        theirs = sum(session in each._watchers for each in self._waiting.values())
        if theirs >= self.per_session_limit:
            raise QueueFull(
                f"You already have {self.per_session_limit} trainings waiting: "
                "let some finish or stop them first."
            )
        if len(self._waiting) >= self.limit:
            raise QueueFull(
                f"{self.limit} trainings are already waiting on this server: "
                "please try again in a few minutes."
            )

    def _turns(self) -> Iterator[Experiment]:
        """All that wait, in the order in which they will start if nobody else comes."""
        waiting, turn = list(self._waiting.values()), self._turn
        served = {name: self._session(name).turn for each in waiting for name in each._watchers}
        while waiting:
            # Of equal ones the first: as they came.
            first = min(waiting, key=lambda each: min(served[name] for name in each._watchers))
            waiting.remove(first)
            turn += 1
            served |= dict.fromkeys(first._watchers, turn)
            yield first

    def _in_order(self) -> list[Experiment]:
        if self._order is None:
            self._order = list(self._turns())
        return self._order

    def _position(self, experiment: Experiment) -> int | None:
        with self._lock:
            order = self._in_order()
            return order.index(experiment) if experiment in order else None

    def _expected_wait(self, experiment: Experiment) -> float | None:
        """When a worker is free for it, if all before it go on as their like did."""
        with self._lock:
            order = self._in_order()
            if experiment not in order:
                return None
            free = [self._expected_seconds(each) for each in self._running]
            free += [0.0] * (self.workers - len(free))
            heapq.heapify(free)
            for each in order[: order.index(experiment)]:
                heapq.heapreplace(free, free[0] + self._expected_seconds(each))
        return free[0] if math.isfinite(free[0]) else None

    def _expected_seconds(self, experiment: Experiment) -> float:
        """What is left of it; infinite as long as no speed was measured."""
        left, config = experiment.snapshot().seconds_left, experiment.config
        if left is not None:
            return left
        if not self._speeds or experiment._data is None:
            return math.inf
        latest = next(reversed(self._speeds.values()))
        speed = self._speeds.get((config.normalization, config.placement), latest)
        return min(config.train_size, len(experiment._data.train_labels)) * config.epochs / speed

    # Memory and store

    def _recall(self, key: str) -> Experiment | None:
        """What is known of a key that nobody has in memory is read from the store, once for all."""
        if self.store is None or key in self._known:
            return None
        with self._reading:
            if key in self._known:
                return None
            summary = self.store.summary(key)
            if summary is None or summary.status == "running":  # by another process
                return None
            if summary.status == "interrupted":
                about = (summary.config, summary.data_name, summary.data_checksum)
                experiment = Experiment(self, key, *about)
                experiment._set("interrupted", summary.message)
            else:
                run = self.store.load(key)
                if run is None:
                    return None
                experiment = self._ended(key, run)
            with self._lock:
                experiment = self._known.setdefault(key, experiment)
                self._forget_some()
                return experiment

    def _shipped(self, key: str) -> Experiment | None:
        shipped = recorded_runs.find(key)
        if shipped is None:
            return None
        experiment = self._ended(key, shipped.run)
        experiment.recorded = shipped.origin
        return experiment

    def _ended(self, key: str, run: Run) -> Experiment:
        experiment = Experiment(self, key, run.config, run.data_name, run.data_checksum)
        experiment._set(run.status, run.message, run)
        return experiment

    def _forget_some(self) -> None:
        """Keep the newest results only; those that the store refused go last."""
        over = [each for each in self._known.values() if each.status not in LIVE]
        for experiment in [each for each in over if each.run is None][:-KEPT_FAILURES]:
            del self._known[experiment.key]
        ended = [each for each in over if each.run is not None]
        ended.sort(key=lambda each: not each._saved)  # stable: oldest first within each half
        size, number = sum(each._bytes for each in ended), len(ended)
        for experiment in ended:
            most = KEPT_BYTES if experiment._saved else UNSAVED_BYTES
            if number <= KEPT_RUNS and (size <= most or number == 1):
                break
            if not experiment._saved:
                _log.warning("The run %s was never kept and is forgotten now.", experiment.key)
            del self._known[experiment.key]
            number -= 1
            size -= experiment._bytes

    def _save(self, experiment: Experiment, run: Run) -> None:
        """Save a run, and with it those that the store refused earlier; no fault may cost a run."""
        experiment._saved = False
        if self.store is None:
            return
        try:
            experiment._saved = self.store.save(run, experiment.key)
            if experiment._saved:
                with self._lock:
                    refused = [each for each in self._known.values() if not each._saved]
                for each in refused:
                    each._saved = each.run is None or self.store.save(each.run, each.key)
        except Exception:
            _log.exception("The run %s could not be kept", experiment.key)

    # The workers

    def _work(self) -> None:
        give_way()
        while (experiment := self._next()) is not None:
            try:
                self._train_one(experiment)
            except BaseException as error:  # whatever it is, the others still want their turn
                _log.exception("The training %s failed", experiment.key)
                self._end(
                    experiment,
                    "failed",
                    f"The training failed on the server ({type(error).__name__}): "
                    "its log says why, and you can start it again.",
                )
                if self.store is not None:
                    self.store.forget_started(experiment.key)

    def _next(self) -> Experiment | None:
        """Take the next one out of the queue; None, and one worker fewer, when it is empty."""
        with self._lock:
            experiment = next(self._turns(), None)
            if experiment is None:
                self._threads -= 1
                return None
            del self._waiting[experiment.key]
            self._order = None
            self._turn += 1
            for name in experiment._watchers:
                self._session(name).turn = self._turn
            self._running.append(experiment)
            experiment._set("running")
            return experiment

    def _train_one(self, experiment: Experiment) -> None:
        config, data, own = experiment.config, experiment._data, experiment._own
        assert data is not None
        if self.store is not None and own is None:
            self.store.mark_started(experiment.key, config, data.name, data.checksum)

        def on_event(event: Event) -> None:
            experiment._add(event)
            if isinstance(event, Progress) and event.images_per_second > 0 and own is None:
                self._speeds[config.normalization, config.placement] = event.images_per_second

        trained = self._train or importlib.import_module("normlib.training").train
        train = trained if own is None else own.train
        run = train(
            config, data, on_event=on_event, should_stop=lambda: self._should_stop(experiment)
        )
        with self._lock:
            replaced = self._known.get(experiment.key) is not experiment
        # One that was replaced, while it was stopping, leaves the word to the newer one.
        if not replaced and own is None:
            # On disk before anybody sees it as finished, so that no kill takes it back.
            self._save(experiment, run)
        self._end(experiment, run.status, run.message, run)

    def _should_stop(self, experiment: Experiment) -> bool:
        """Whether nobody wants it any more, or nobody who is there while somebody is who waits."""
        with self._lock:
            if not any(self._is_present(name) for name in experiment._watchers):
                waiting = {name for each in self._waiting.values() for name in each._watchers}
                if not experiment._watchers or any(map(self._is_present, waiting)):
                    experiment._stopping = True
            return experiment._stopping

    def _end(
        self, experiment: Experiment, status: str, message: str, run: Run | None = None
    ) -> None:
        """Once it has ended, ending it again changes nothing."""
        with self._lock:
            if experiment not in self._running:
                return
            self._running.remove(experiment)
            if self._known.get(experiment.key) is experiment:
                self._known.move_to_end(experiment.key)
            experiment._watchers.clear()
            experiment._set(status, message, run)
            self._forget_some()


def _is_answer(run: Run | None, weights: bool) -> bool:
    """Whether this run answers for good a question that needs its weights, or does not."""
    if run is None or run.status not in FINAL:
        return False
    return run.status == "diverged" or not weights or any(run.weights)


def _summary(experiment: Experiment) -> RunSummary:
    if experiment.run is not None:
        return RunSummary.of(experiment.run, experiment.key, experiment.created)
    now = experiment.snapshot()
    return RunSummary(
        *(experiment.key, now.status, experiment.config),
        *(experiment.data_name, experiment.data_checksum, experiment.created),
        message=now.message,
        steps=now.step,
        epochs=len(now.epochs),
        train_loss=now.epochs[-1].train_loss if now.epochs else None,
        seconds=now.seconds,
    )
