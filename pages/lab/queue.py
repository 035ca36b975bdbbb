"""One queue of trainings for the whole process: one run per question, shared by all who ask.

Pages submit, watch and poll; every training has a thread of its own while it runs. Nothing here
knows Streamlit, and TensorFlow is imported by the first training, not by the queue.
"""

from __future__ import annotations

import importlib
import logging
import math
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection
from dataclasses import replace

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from normlib.run import Run
from pages.lab import holds
from pages.lab import recorded as recorded_runs
from pages.lab.experiment import LIVE, Experiment, Own, QueueFull, is_answer, refuse_too_large
from pages.lab.processes import give_way
from pages.lab.store import RunSummary, Store

QUEUE_LIMIT = 200
SESSION_LIMIT = 40
KEPT = 1024  # ended trainings in memory, of which the runs may take so many bytes:
KEPT_BYTES = 64 * 2**20  # of runs that are on disk too
UNSAVED_BYTES = 192 * 2**20  # in all, where some are not
PATIENCE_SECONDS = 3600.0
# A training has a worker for so long; then it is kept as far as it is, and whoever has none comes.
STRETCH_SECONDS = 30.0

_log = logging.getLogger(__name__)


class Experiments:
    """The queue: submit a config, get the one experiment that answers it.

    The order is fair by session: whoever was served longest ago comes next, and a session that
    was never served comes before all that were.  At most `workers` trainings run at a time (one
    per core, if None).  One of a session that has two steps aside for a session that has none, and
    after STRETCH_SECONDS any does; it goes on later, where it was.  QUEUE_LIMIT may wait,
    SESSION_LIMIT of them for one session; who has nothing waiting is let in beyond that.

    Watching ends by an explicit `unwatch` only, so a closed laptop, a reload or a lost connection
    loses nothing.  The one exception: a training whose every watcher has not been heard from for
    an hour (`seen`) gives way as soon as somebody who is still there waits for a worker; what it
    has so far is kept as a stopped run.

    A training that ends early is kept with what it goes on from, so the next who asks for it has
    what there is; one under way is kept like that every STRETCH_SECONDS, in case the server dies.

    `train` stands in for `normlib.training.train`, in tests.  Safe to use from many threads.
    """

    def __init__(
        self,
        data: Dataset,
        store: Store | None = None,
        workers: int | None = None,
        train: Callable[..., Run] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.data = data
        self.store = store
        self.workers = workers or max(2, recorded_runs.cores())
        self._train = train
        self._clock = clock
        self._lock = threading.RLock()
        self._reading = threading.Lock()  # one reads the store, thirty who ask the same wait
        self._known: OrderedDict[str, Experiment] = OrderedDict()  # live ones and recent ends
        self._running: list[Experiment] = []
        self._waiting: dict[str, Experiment] = {}  # as they came
        self._order: list[Experiment] | None = None  # as they will start, until something changes
        self._seen: dict[str, float] = {}  # session -> when its page was last heard of
        self._served: dict[str, int] = {}  # session -> turn in which a training of its began
        self._turn = 0

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
        from memory or the store.  What was stopped goes on; what was interrupted or failed starts
        again, and, with `weights`, what finished and had to let its weights go.  own: train so,
        and keep nothing.
        QueueFull, with a sentence, if too many are waiting, or if it would take too long.
        """
        data = self.data if data is None else data
        key = own.key(config, data.checksum) if own else config.key(data.checksum)
        found = None if own else self._recall(key)
        with self._lock:
            self.seen(session)
            known = self._known.get(key, found)
            if known is not None and known.status in LIVE and not known._stopping:
                known._watchers.add(session)
                self._begin_waiting()
                return known
            if known is not None and is_answer(known.run, weights):
                return known
            self._refuse_beyond_limits(session)
            refuse_too_large(config, data)
            experiment = Experiment(self, key, config, data.name, data.checksum)
            experiment._data, experiment._own = data, own
            experiment._previous = known if known is not None and known.run else None
            experiment._watchers.add(session)
            self._known[key] = self._waiting[key] = experiment
            self._known.move_to_end(key)
            self._begin_waiting()
            return experiment

    def find(self, key: str) -> Experiment | None:
        """The experiment with this key, as after a deep link: from memory, the store, or None.

        Where this server never trained it, a run that ships with the package stands in; `submit`
        knows nothing of those, and trains.
        """
        found = self._recall(key)
        if found is None and (shipped := recorded_runs.trainings().get(key)) is not None:
            found = self._ended(key, shipped.run)
            found.recorded = shipped.origin
        return found

    def unwatch(self, key: str, session: str) -> None:
        """Stop, for this session: the training itself ends when nobody watches it any more."""
        with self._lock:
            if not self.watching(key, session):
                return
            experiment = self._known[key]
            experiment._watchers.discard(session)
            self._order = None
            if experiment.status != "queued" or experiment._watchers:
                return
            self._take_out(experiment)
        if experiment.run is not None:
            self._save(experiment, experiment.run)

    def stop(self, keys: Collection[str] | None = None) -> list[Experiment]:
        """Stop these trainings for everybody (all, if None), and say which; what ran is kept."""
        with self._lock:
            chosen = self.live(keys)
            for each in chosen:
                each._stopping = True
                if each.status == "queued":
                    self._take_out(each)
            self._order = None
        for each in chosen:
            if each.status == "stopped" and each.run is not None:
                self._save(each, each.run)
        return chosen

    def live(self, keys: Collection[str] | None = None) -> list[Experiment]:
        """Those of these trainings (all, if None) that wait or run."""
        with self._lock:
            every = [*self._waiting.values(), *self._running]
        return [each for each in every if keys is None or each.key in keys]

    def watching(self, key: str, session: str) -> bool:
        """Whether this session is one of those who keep the experiment alive."""
        with self._lock:
            experiment = self._known.get(key)
            return experiment is not None and session in experiment._watchers

    def seen(self, session: str) -> None:
        """The heartbeat of a page: its session is still there."""
        with self._lock:
            self._seen[session] = self._clock()

    def close(self, patience: float = 5.0) -> None:
        """Stop all, as if nobody watched; return once what has run is kept, or after `patience`."""
        until = time.monotonic() + patience
        for experiment in self.stop():
            experiment.wait_until_over(max(0.0, until - time.monotonic()))

    def earlier(self, limit: int = 50, checksum: str = "") -> list[RunSummary]:
        """The newest `limit` experiments, live, kept in memory or stored, newest first.

        Of those on uploaded data only the ones on the data with this checksum.
        """
        stored = self.store.list(limit, checksum) if self.store is not None else []
        found = {summary.key: summary for summary in stored}
        with self._lock:
            known = [one for one in self._known.values() if one._own is None]
        for one in known:
            about = (one.key, one.status, one.config, one.data_name, one.data_checksum, one.created)
            if one.status in LIVE:
                found[one.key] = RunSummary(*about)
            elif one.run is not None:
                found.setdefault(one.key, RunSummary.of(one.run, one.key, one.created))
            elif one.status != "stopped":  # else it never began
                found.setdefault(one.key, RunSummary(*about, one.message))
        offered = [each for each in found.values() if each.is_offered(checksum)]
        return sorted(offered, key=lambda each: -each.changed)[:limit]

    # The queue, under its lock

    def _is_present(self, session: str) -> bool:
        return self._clock() - self._seen.get(session, -math.inf) < PATIENCE_SECONDS

    def _refuse_beyond_limits(self, session: str) -> None:
        theirs = sum(session in each._watchers for each in self._waiting.values())
        if theirs >= SESSION_LIMIT:
            raise QueueFull(
                f"You already have {SESSION_LIMIT} trainings waiting: "
                "let some finish or stop them first."
            )
        if theirs and len(self._waiting) >= QUEUE_LIMIT:
            raise QueueFull(
                f"{QUEUE_LIMIT} trainings are already waiting on this server: "
                "please try again in a few minutes."
            )

    def _take_out(self, experiment: Experiment) -> None:
        """Of the queue: what it had is its run; one that never began leaves no trace."""
        del self._waiting[experiment.key]
        left, before = experiment._so_far, experiment._previous
        if left is None:
            self._known[experiment.key] = before or experiment
        never = "Taken out of the queue before it began."
        experiment._set("stopped", left.message if left else never, left)

    def _in_order(self) -> list[Experiment]:
        """All that wait, in the order in which they will start if nobody else comes."""
        if self._order is None:
            self._order, waiting, turn = [], list(self._waiting.values()), self._turn
            served = defaultdict(int, self._served)
            staying = (each for each in self._running if not each._aside)
            busy = {name for each in staying for name in each._watchers}

            def rank(each: Experiment) -> tuple[bool, int]:
                return each._watchers <= busy, min(served[n] for n in each._watchers)

            while waiting:
                first = min(waiting, key=rank)  # of equal ones the first: as they came
                busy |= first._watchers
                waiting.remove(first)
                turn += 1
                served |= dict.fromkeys(first._watchers, turn)
                self._order.append(first)
        return self._order

    def _position(self, experiment: Experiment) -> int | None:
        with self._lock:
            order = self._in_order()
            return order.index(experiment) if experiment in order else None

    def _steps_aside(self, experiment: Experiment, over: bool) -> bool:
        """Whether its worker goes to a session that has none, now that it has had a while.

        over: its stretch is; before, only where its session has another worker.
        """
        staying = [each for each in self._running if not each._aside and each is not experiment]
        busy = {name for each in (*staying, experiment) for name in each._watchers}
        needy = sum(not each._watchers <= busy for each in self._waiting.values())
        if needy < self.workers - len(staying):  # one more is free, or will be
            return False
        return over or any(experiment._watchers & each._watchers for each in staying)

    def _begin_waiting(self) -> None:
        """Begin as many as there are free workers."""
        self._order = None
        while self._waiting and len(self._running) < self.workers:
            experiment = self._in_order()[0]
            del self._waiting[experiment.key]
            self._order = None
            self._turn += 1
            self._served |= dict.fromkeys(experiment._watchers, self._turn)
            self._running.append(experiment)
            experiment._set("running")
            threading.Thread(target=self._work, args=(experiment,), daemon=True).start()

    # Memory and store

    def _recall(self, key: str) -> Experiment | None:
        """What is known of a key: in memory, else in the store, which one reads for all."""
        with self._lock:
            known = self._known.get(key)
        if known is not None or self.store is None:
            return known
        with self._reading:
            if key in self._known:
                return self._known.get(key)
            summary = self.store.summary(key)
            if summary is None or summary.status == "running":  # by another process
                return None
            if summary.status == "interrupted":
                about = (summary.config, summary.data_name, summary.data_checksum)
                experiment = Experiment(self, key, *about)
                experiment._set("interrupted", summary.message)
            elif (run := self.store.load(key)) is not None:
                experiment = self._ended(key, run)
            else:
                return None
            with self._lock:
                experiment = self._known.setdefault(key, experiment)
                self._forget_some()
                return experiment

    def _ended(self, key: str, run: Run) -> Experiment:
        experiment = Experiment(self, key, run.config, run.data_name, run.data_checksum)
        experiment._set(run.status, run.message, run)
        return experiment

    def _forget_some(self) -> None:
        """Keep the newest results only; those that the store refused go last."""
        ended = [each for each in self._known.values() if each.status not in LIVE]
        ended.sort(key=lambda each: not each._saved)  # stable: oldest first within each half
        size, number = sum(each._bytes for each in ended), len(ended)
        for experiment in ended[:-1]:
            most = KEPT_BYTES if experiment._saved else UNSAVED_BYTES
            if number > KEPT or (experiment._bytes and size > most):
                if not experiment._saved:
                    _log.warning("The run %s was never kept and is forgotten.", experiment.key)
                del self._known[experiment.key]
                number -= 1
                size -= experiment._bytes

    def _save(self, experiment: Experiment, run: Run) -> None:
        """Save a run, and with it those that the store refused earlier; no fault may cost a run."""
        experiment._saved = False
        if self.store is None:
            return
        began = time.perf_counter()
        try:
            experiment._saved = self.store.save(run, experiment.key)
            holds.note("saving a run", time.perf_counter() - began)
            if experiment._saved:
                with self._lock:
                    refused = [each for each in self._known.values() if not each._saved]
                for each in refused:
                    each._saved = each.run is None or self.store.save(each.run, each.key)
        except Exception:
            _log.exception("The run %s could not be kept", experiment.key)

    # One training, in its thread

    def _work(self, experiment: Experiment) -> None:
        give_way()
        try:
            self._train_one(experiment)
        except BaseException as error:  # whatever it is, the others still want their turn
            _log.exception("The training %s failed", experiment.key)
            if self.store is not None:
                self.store.forget_started(experiment.key)
            why = f"The training failed on the server ({type(error).__name__}): "
            self._end(experiment, "failed", why + "its log says why, and you can start it again.")

    def _train_one(self, experiment: Experiment) -> None:
        config, data, own = experiment.config, experiment._data, experiment._own
        assert data is not None
        if self.store is not None and own is None:
            self.store.mark_started(experiment.key, config, data.name, data.checksum)
        train = own.train if own else self._train
        train = train or importlib.import_module("normlib.training").train
        run = _start(experiment)
        while True:
            if run is not None:
                experiment._go_on(run)
            with self._lock:
                experiment._began, experiment._paused = self._clock(), False
                experiment._began_at = experiment.snapshot().step
            run = train(
                config,
                data,
                on_event=experiment._add,
                should_stop=lambda: self._should_stop(experiment),
                **({"so_far": run} if run else {}),
            )
            if run.status != "stopped" or not experiment._paused or experiment._stopping:
                break
            if self._clock() - experiment._began >= STRETCH_SECONDS:
                under_way = f"Kept at step {len(run.losses):,}, while it was under way."
                self._save(experiment, replace(run, message=under_way))
            if self._waits_again(experiment, run):
                return
        with self._lock:
            replaced = self._known.get(experiment.key) is not experiment
        # One that was replaced, while it was stopping, leaves the word to the newer one.
        if not replaced and own is None:
            # On disk before anybody sees it as finished, so that no kill takes it back.
            self._save(experiment, run)
        self._end(experiment, run.status, run.message, run)

    def _waits_again(self, experiment: Experiment, run: Run) -> bool:
        """Put one that steps aside back into the queue, before all that have not begun."""
        with self._lock:
            aside, experiment._aside = experiment._aside, False
            if not aside or experiment._stopping or not experiment._watchers:
                return False
            self._running.remove(experiment)
            experiment._so_far = run
            experiment._set("queued")
            self._waiting = {experiment.key: experiment, **self._waiting}
            self._begin_waiting()
            return True

    def _should_stop(self, experiment: Experiment) -> bool:
        """Whether nobody wants it any more, or nobody who is there while somebody is who waits; or
        whether it pauses, to be kept or to step aside, once it has come on a little."""
        with self._lock:
            if not any(self._is_present(name) for name in experiment._watchers):
                waiting = {name for each in self._waiting.values() for name in each._watchers}
                if not experiment._watchers or any(map(self._is_present, waiting)):
                    experiment._stopping = True
            if experiment._own is None and experiment.snapshot().step > experiment._began_at:
                over = self._clock() - experiment._began >= STRETCH_SECONDS
                experiment._aside = self._steps_aside(experiment, over)
                experiment._paused = over or experiment._aside
                self._order = None if experiment._aside else self._order
            return experiment._stopping or experiment._paused

    def _end(
        self, experiment: Experiment, status: str, message: str, run: Run | None = None
    ) -> None:
        """Free its worker. Once it has ended, ending it again changes nothing."""
        with self._lock:
            if experiment not in self._running:
                return
            self._running.remove(experiment)
            self._begin_waiting()
            if self._known.get(experiment.key) is experiment:
                self._known.move_to_end(experiment.key)
            experiment._watchers.clear()
            self._seen = {name: at for name, at in self._seen.items() if self._is_present(name)}
            experiment._set(status, message, run)
            self._forget_some()


def _start(experiment: Experiment) -> Run | None:
    """The stopped run that a training goes on from, if there is one that it can."""
    run = experiment._previous.run if experiment._previous else None
    if experiment._so_far or run is None or not run.state:
        return experiment._so_far
    return run if importlib.import_module("normlib.training").goes_on(run) else None
