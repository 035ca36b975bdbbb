"""One queue of trainings for the whole process: one run per question, shared by all who ask.

Worker threads take trainings in turn from the sessions that wait; pages submit, watch and poll.
Nothing here knows Streamlit, and TensorFlow is imported by the first training, not by the queue.
"""

from __future__ import annotations

import heapq
import importlib
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from normlib.run import EpochEnd, EpochResult, Event, Progress, Run, Started
from normlib.threads import give_way
from pages.lab import recorded as recorded_runs
from pages.lab.store import RunSummary, Store

QUEUE_LIMIT = 200
SESSION_LIMIT = 40
KEPT_RUNS = 64
KEPT_BYTES = 64 * 2**20  # of runs that are on disk too
UNSAVED_BYTES = 192 * 2**20  # in all, where some are not
PATIENCE_SECONDS = 3600.0
PICTURE_SECONDS = 0.25
_KEPT_SESSIONS = 4096

LIVE = frozenset({"queued", "running"})

_log = logging.getLogger(__name__)


class QueueFull(ValueError):
    """A submission beyond a limit; the text is a sentence for the student."""


@dataclass(frozen=True)
class Snapshot:
    """What is known of an experiment at one moment; nothing in it changes any more.

    version grows with every change, so a page redraws only when it has.  losses and accuracies
    (0..1, of each step's batch) have one value per step; steps is 0 until training has begun.
    seconds are those spent, seconds_left those expected (None if unknown), without the queue.
    """

    key: str
    config: TrainConfig
    status: str
    version: int
    message: str
    step: int
    steps: int
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    epochs: tuple[EpochResult, ...]
    recorded: Mapping[str, tuple]
    seconds: float
    images_per_second: float
    seconds_left: float | None


class Experiment:
    """One question, from the queue to its result; made by `Experiments`, read by everybody.

    status is "queued", "running", "finished", "stopped", "diverged", "failed", or "interrupted":
    begun by a server that died, and to be submitted again.  run is the result, where there is one.
    recorded says in words when and on what a run that ships with the package was made; it is ""
    for all others.
    """

    def __init__(
        self, owner: Experiments, key: str, config: TrainConfig, name: str, checksum: str
    ) -> None:
        self.key = key
        self.config = config
        self.data_name = name
        self.data_checksum = checksum
        self.created = time.time()
        self.recorded = ""
        self.run: Run | None = None
        self._owner = owner
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._status = "queued"
        self._message = ""
        self._version = 0
        self._snapshot: Snapshot | None = None
        self._step = self._steps = 0
        self._losses: list[float] = []
        self._accuracies: list[float] = []
        self._epochs: list[EpochResult] = []
        self._recorded: dict[str, list] = {}
        self._seconds = self._images_per_second = 0.0
        # These belong to the queue, and are read and written under its lock.
        self._data: Dataset | None = None
        self._watchers: set[str] = set()
        self._stopping = False
        self._kept = True
        self._before: Experiment | None = None

    @property
    def status(self) -> str:
        return self._status

    @property
    def message(self) -> str:
        """A sentence on how it ended, "" while there is nothing to say."""
        return self._message

    @property
    def version(self) -> int:
        """Grows with every change of what `snapshot` tells."""
        return self._version

    @property
    def position(self) -> int | None:
        """How many trainings start before this one does; None once it has begun."""
        return self._owner._position(self)

    @property
    def expected_wait(self) -> float | None:
        """Seconds until it starts, from the speeds measured so far; None while none are known."""
        return self._owner._expected_wait(self)

    def snapshot(self) -> Snapshot:
        """What is known now; the very same object as long as nothing changes."""
        snapshot = self._snapshot
        if snapshot is not None and snapshot.version == self._version:
            return snapshot
        with self._lock:
            if self._snapshot is None or self._snapshot.version != self._version:
                self._snapshot = self._taken()
            return self._snapshot

    def wait_until_over(self, timeout: float | None = None) -> bool:
        """Block until it has ended, at most `timeout` seconds; whether it has."""
        return self._done.wait(timeout)

    def _taken(self) -> Snapshot:
        recorded = {name: tuple(rows) for name, rows in self._recorded.items()}
        return Snapshot(
            key=self.key,
            config=self.config,
            status=self._status,
            version=self._version,
            message=self._message,
            step=self._step,
            steps=self._steps,
            losses=tuple(self._losses),
            accuracies=tuple(self._accuracies),
            epochs=tuple(self._epochs),
            recorded=MappingProxyType(recorded),
            seconds=self._seconds,
            images_per_second=self._images_per_second,
            seconds_left=self._seconds_left(),
        )

    def _seconds_left(self) -> float | None:
        if self._status not in LIVE:
            return 0.0
        if not self._steps or not self._images_per_second:
            return None
        return (self._steps - self._step) * self.config.batch_size / self._images_per_second

    def _take_in(self, event: Event) -> None:
        with self._lock:
            match event:
                case Started():
                    self._steps = event.steps
                case Progress():
                    self._step, self._steps = event.step, event.steps
                    self._losses += event.losses
                    self._accuracies += event.accuracies
                    self._seconds = event.seconds
                    self._images_per_second = event.images_per_second
                    for name, rows in event.recorded.items():
                        self._recorded.setdefault(name, []).extend(rows)
                case EpochEnd():
                    self._epochs.append(event.result)
            self._version += 1

    def _become(self, status: str, message: str = "", run: Run | None = None) -> None:
        with self._lock:
            self._status, self._message = status, message
            if run is not None:
                # The run's own lists from here on: no second copy is kept.
                self.run = run
                self._losses, self._epochs, self._recorded = run.losses, run.epochs, run.recorded
                self._accuracies = run.recorded.get("batch_accuracies", self._accuracies)
                self._step = len(run.losses)
                self._steps = self._steps or self._step
                self._seconds, self._images_per_second = run.seconds, run.images_per_second
            self._version += 1
        if status not in LIVE:
            self._done.set()

    def _size(self) -> int:
        """About how many bytes its result takes in memory."""
        if self.run is None:
            return 0
        arrays = sum(array.nbytes for array in self.run.arrays().values())
        return arrays + 64 * len(self.run.losses)


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
        self.workers = workers or _cores()
        self.limit = limit
        self.per_session_limit = per_session_limit
        self._train = train
        self._clock = clock
        self._lock = threading.RLock()
        self._reading = threading.Lock()  # one reads the store, thirty who ask the same wait
        self._known: OrderedDict[str, Experiment] = OrderedDict()  # live ones and recent ends
        self._running: list[Experiment] = []
        self._waiting: dict[str, dict[str, Experiment]] = {}  # session -> key -> queued
        self._arrivals: dict[str, int] = {}  # key of a queued one -> when it came
        self._arrived = 0
        self._served: OrderedDict[str, int] = OrderedDict()  # session -> its last turn
        self._turn = 0
        self._heard: OrderedDict[str, float] = OrderedDict()  # session -> when
        self._order_cache: list[Experiment] | None = None
        self._threads = 0
        self._speeds: dict[tuple, float] = {}  # kind of config -> images per second
        self._pictures = threading.Condition()
        self._drawing = 0

    # For pages

    def submit(
        self,
        config: TrainConfig,
        session: str,
        data: Dataset | None = None,
        weights: bool = False,
    ) -> Experiment:
        """The experiment for this config on `data` (None: the queue's own), watched by `session`.

        The same one for everybody who asks the same; one that came to its end returns at once,
        from memory or the store.  What was stopped, interrupted or failed starts again, and, with
        `weights`, what finished and had to let its weights go.
        QueueFull, with a sentence, if too many are waiting.
        """
        data = self.data if data is None else data
        key = config.key(data.checksum)
        stored = self._recall(key)
        with self._lock:
            self.seen(session)
            known = self._known.get(key, stored)
            if known is not None:
                if known.status in LIVE and not known._stopping:
                    self._join(known, session)
                    return known
                lacking = weights and not (known.run is not None and known.run.weights)
                if known.status == "diverged" or (known.status == "finished" and not lacking):
                    return known
            self._refuse_beyond_limits(session)
            experiment = Experiment(self, key, config, data.name, data.checksum)
            experiment._data = data
            experiment._before = known if known is not None and known.run is not None else None
            self._known[key] = experiment
            self._known.move_to_end(key)
            self._arrived += 1
            self._arrivals[key] = self._arrived
            self._join(experiment, session)
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
            self._join(experiment, session)
            return experiment

    def unwatch(self, key: str, session: str) -> None:
        """Stop, for this session: the training itself ends when nobody watches it any more."""
        with self._lock:
            experiment = self._known.get(key)
            if experiment is None or session not in experiment._watchers:
                return
            experiment._watchers.discard(session)
            self._drop_waiting(key, session)
            if not experiment._watchers and experiment.status == "queued":
                del self._arrivals[key]
                experiment._become("stopped", "Taken out of the queue before it began.")
                experiment._data = None
                if experiment._before is not None:
                    self._known[key] = experiment._before

    def watching(self, key: str, session: str) -> bool:
        """Whether this session is one of those who keep the experiment alive."""
        with self._lock:
            experiment = self._known.get(key)
            return experiment is not None and session in experiment._watchers

    def seen(self, session: str) -> None:
        """The heartbeat of a page: its session is still there."""
        with self._lock:
            self._heard[session] = self._clock()
            self._heard.move_to_end(session)
            while len(self._heard) > _KEPT_SESSIONS:
                self._heard.popitem(last=False)

    def earlier(self, limit: int = 50) -> list[RunSummary]:
        """The newest `limit` experiments, live, kept in memory or stored, newest first."""
        stored = self.store.list(limit) if self.store is not None else []
        found = {summary.key: summary for summary in stored}
        with self._lock:
            known = list(self._known.values())
        for experiment in known:
            never_began = experiment.status == "stopped" and experiment.run is None
            if experiment.status in LIVE or not (never_began or experiment.key in found):
                found[experiment.key] = _summary(experiment)
        return sorted(found.values(), key=lambda each: -each.changed)[:limit]

    @contextmanager
    def interactive(self) -> Iterator[None]:
        """Around the computing of a picture: trainings hold back until it is done.

        They wait between chunks of steps, at most a quarter of a second each time, so that they
        always advance.
        """
        with self._pictures:
            self._drawing += 1
        try:
            yield
        finally:
            with self._pictures:
                self._drawing -= 1
                self._pictures.notify_all()

    # The queue, under its lock

    def _join(self, experiment: Experiment, session: str) -> None:
        experiment._watchers.add(session)
        if experiment.status == "queued":
            self._waiting.setdefault(session, {})[experiment.key] = experiment
            self._order_cache = None

    def _drop_waiting(self, key: str, session: str) -> None:
        theirs = self._waiting.get(session, {})
        theirs.pop(key, None)
        if not theirs:
            self._waiting.pop(session, None)
        self._order_cache = None

    def _refuse_beyond_limits(self, session: str) -> None:
        if len(self._waiting.get(session, ())) >= self.per_session_limit:
            raise QueueFull(
                f"You already have {self.per_session_limit} trainings waiting: "
                "let some finish or stop them first."
            )
        if len(self._arrivals) >= self.limit:
            raise QueueFull(
                f"{self.limit} trainings are already waiting on this server: "
                "please try again in a few minutes."
            )

    def _order(self) -> list[Experiment]:
        """All that wait, in the order in which they will start if nobody else comes."""
        if self._order_cache is None:
            waiting = {
                session: sorted(theirs, key=self._arrivals.__getitem__, reverse=True)
                for session, theirs in self._waiting.items()
            }
            served = {session: self._served.get(session, 0) for session in waiting}
            turn, order, placed = self._turn, [], set()
            while waiting:
                session = min(waiting, key=lambda s: (served[s], self._arrivals[waiting[s][-1]]))
                key = waiting[session].pop()
                if key not in placed:
                    placed.add(key)
                    order.append(self._known[key])
                    turn += 1
                    for watcher in self._known[key]._watchers:
                        served[watcher] = turn
                if not waiting[session]:
                    del waiting[session]
            self._order_cache = order
        return self._order_cache

    def _next(self) -> Experiment | None:
        """Take the next one out of the queue; None, and one worker fewer, when it is empty."""
        with self._lock:
            order = self._order()
            if not order:
                self._threads -= 1
                return None
            experiment = order[0]
            del self._arrivals[experiment.key]
            self._turn += 1
            for session in experiment._watchers:
                self._drop_waiting(experiment.key, session)
                self._served[session] = self._turn
                self._served.move_to_end(session)
            while len(self._served) > _KEPT_SESSIONS:
                self._served.popitem(last=False)
            self._running.append(experiment)
            experiment._become("running")
            return experiment

    def _position(self, experiment: Experiment) -> int | None:
        with self._lock:
            order = self._order()
            return order.index(experiment) if experiment in order else None

    def _expected_wait(self, experiment: Experiment) -> float | None:
        """When a worker is free for it, if all before it take as long as their like did."""
        with self._lock:
            ahead = self._order()
            if experiment not in ahead:
                return None
            free = [self._seconds_for(each) for each in self._running]
            if None in free:
                return None
            free += [0.0] * (self.workers - len(free))
            heapq.heapify(free)
            for each in ahead[: ahead.index(experiment)]:
                seconds = self._seconds_for(each)
                if seconds is None:
                    return None
                heapq.heapreplace(free, free[0] + seconds)
            return free[0]

    def _seconds_for(self, experiment: Experiment) -> float | None:
        left = experiment._seconds_left()
        if left is not None:
            return left
        config = experiment.config
        speeds = (self._speeds.get(kind) for kind in _kinds(config))
        speed = next((speed for speed in speeds if speed), None)
        if speed is None:
            return None
        images = min(config.train_size, len(experiment._data.train_labels))
        return images * config.epochs / speed

    def _deserted(self, experiment: Experiment) -> bool:
        """Whether nobody wants it any more, or nobody who is there while somebody is who waits."""
        with self._lock:
            if not experiment._stopping:
                gone = not any(self._is_there(session) for session in experiment._watchers)
                experiment._stopping = not experiment._watchers or (
                    gone and any(self._is_there(session) for session in self._waiting)
                )
            return experiment._stopping

    def _is_there(self, session: str) -> bool:
        return self._clock() - self._heard.get(session, float("-inf")) < PATIENCE_SECONDS

    # Memory and store

    def _recall(self, key: str) -> Experiment | None:
        """What is known of a key that nobody has in memory is read from the store, once for all."""
        if self.store is None or key in self._known:
            return None
        with self._reading:
            if key in self._known:
                return None
            run = self.store.load(key)
            summary = self.store.summary(key) if run is None else None
            if run is not None:
                experiment = Experiment(self, key, run.config, run.data_name, run.data_checksum)
                experiment._become(run.status, run.message, run)
            elif summary is not None and summary.status == "interrupted":
                data = (summary.data_name, summary.data_checksum)
                experiment = Experiment(self, key, summary.config, *data)
                experiment._become("interrupted", summary.message)
            else:
                return None
            with self._lock:
                experiment = self._known.setdefault(key, experiment)
                self._forget_some()
                return experiment

    def _shipped(self, key: str) -> Experiment | None:
        shipped = recorded_runs.find(key)
        if shipped is None:
            return None
        run = shipped.run
        experiment = Experiment(self, key, run.config, run.data_name, run.data_checksum)
        experiment._become(run.status, run.message, run)
        experiment.recorded = shipped.origin
        return experiment

    def _forget_some(self) -> None:
        """Keep the newest results only; those that the store refused go last."""
        over = [each for each in self._known.values() if each.status not in LIVE]
        over.sort(key=lambda each: not each._kept)  # stable: oldest first within each half
        size = sum(each._size() for each in over)
        number = len(over)
        for experiment in over:
            most = KEPT_BYTES if experiment._kept else UNSAVED_BYTES
            if number <= KEPT_RUNS and (size <= most or number == 1):
                break
            if not experiment._kept:
                _log.warning("The run %s was never kept and is forgotten now.", experiment.key)
            del self._known[experiment.key]
            number -= 1
            size -= experiment._size()

    def _keep(self, experiment: Experiment, run: Run) -> None:
        """Save a run, and with it those that the store refused earlier; no fault may cost a run."""
        experiment._kept = False
        if self.store is None:
            return
        try:
            experiment._kept = self.store.save(run, experiment.key)
            if experiment._kept:
                with self._lock:
                    refused = [each for each in self._known.values() if each.run and not each._kept]
                for each in refused:
                    each._kept = self.store.save(each.run, each.key)
        except Exception:
            _log.exception("The run %s could not be kept", experiment.key)

    # The workers

    def _work(self) -> None:
        give_way()
        while (experiment := self._next()) is not None:
            try:
                self._do(experiment)
            except BaseException as error:  # whatever it is, the others still want their turn
                _log.exception("The training %s failed", experiment.key)
                message = (
                    f"The training failed on the server ({type(error).__name__}): "
                    "its log says why, and you can start it again."
                )
                self._end(experiment, "failed", message)
                if self.store is not None:
                    self.store.forget_started(experiment.key)

    def _do(self, experiment: Experiment) -> None:
        config, data = experiment.config, experiment._data
        if self.store is not None:
            self.store.mark_started(experiment.key, config, data.name, data.checksum)
        train = self._train or importlib.import_module("normlib.training").train

        def on_event(event: Event) -> None:
            experiment._take_in(event)
            if isinstance(event, Progress) and event.images_per_second > 0:
                with self._lock:
                    for kind in _kinds(config):
                        self._speeds[kind] = event.images_per_second

        def should_stop() -> bool:
            if self._deserted(experiment):
                return True
            with self._pictures:
                self._pictures.wait_for(lambda: not self._drawing, timeout=PICTURE_SECONDS)
            return self._deserted(experiment)

        run = train(config, data, on_event=on_event, should_stop=should_stop)
        with self._lock:
            replaced = self._known.get(experiment.key) is not experiment
        if not replaced:  # else a newer one, started while this one was stopping, has the word
            # On disk before anybody sees it as finished, so that no kill takes it back.
            self._keep(experiment, run)
        self._end(experiment, run.status, run.message, run)

    def _end(
        self, experiment: Experiment, status: str, message: str, run: Run | None = None
    ) -> None:
        with self._lock:
            self._running.remove(experiment)
            if self._known.get(experiment.key) is experiment:
                self._known.move_to_end(experiment.key)
            experiment._watchers.clear()
            experiment._data = experiment._before = None
            experiment._become(status, message, run)
            self._forget_some()


def _kinds(config: TrainConfig) -> tuple[tuple, ...]:
    """What a measured speed tells about, from the most to the least exact."""
    size = (config.batch_size,)
    method = (config.normalization, config.placement)
    return ((*method, *size, config.hidden_units), (*method, *size), size, ())


def _summary(experiment: Experiment) -> RunSummary:
    snapshot = experiment.snapshot()
    return RunSummary(
        key=experiment.key,
        status=snapshot.status,
        config=experiment.config,
        data_name=experiment.data_name,
        data_checksum=experiment.data_checksum,
        changed=experiment.created,
        message=snapshot.message,
        steps=len(snapshot.losses),
        epochs=len(snapshot.epochs),
        train_loss=snapshot.epochs[-1].train_loss if snapshot.epochs else None,
        test_accuracy=experiment.run.test_accuracy if experiment.run else None,
        seconds=snapshot.seconds,
    )


def _cores() -> int:
    """The cores that this process may use, which in a container are fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
