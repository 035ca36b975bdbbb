"""The queue of trainings: one run per question, fair, stoppable, and never stuck.

The trainings here are puppets: each does what the test tells it, when the test tells it.
"""

import logging
import pickle
import queue
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from normlib.config import TrainConfig
from normlib.mnist import Dataset
from normlib.run import EpochEnd, EpochResult, Progress, Run, Started
from pages.lab import queue as module
from pages.lab.experiment import Prefix
from pages.lab.queue import Experiment, Experiments, QueueFull
from pages.lab.store import UPLOADED, Store

ROOT = Path(__file__).parents[1]
LOSSES = [1 / step for step in range(1, 6)]  # of a puppet's first steps
SOON = 20  # seconds within which what must happen has happened, on the slowest machine


def dataset(checksum: str = "c0ffee", name: str = "drawn digits") -> Dataset:
    images, labels = np.zeros((10, 28, 28, 1), np.uint8), np.zeros(10, np.uint8)
    return Dataset(name, "made by a test", (), checksum, *3 * [images], *3 * [labels])


def config(seed: int) -> TrainConfig:
    return TrainConfig(seed=seed, epochs=1, batch_size=64)


class Puppet:
    """One training under way: it tells what the test tells, and ends when the test ends it."""

    def __init__(self, config: TrainConfig, data: Dataset, on_event, should_stop, so_far) -> None:
        self.config, self.data, self.so_far = config, data, so_far
        self.tell, self.asks_to_stop = on_event, should_stop
        self.run: Future[Run] = Future()
        self._losses: list[float] = list(so_far.losses) if so_far else []

    def steps(self, number: int = 2, images_per_second: float = 1000.0, steps: int = 10) -> None:
        losses = [1 / (1 + len(self._losses) + i) for i in range(number)]
        self._losses += losses
        step = len(self._losses)
        rates = (1.5, images_per_second)
        self.tell(Progress(step, steps, losses, [0.5] * number, *rates, {"step": [step]}))

    def pauses(self) -> None:
        """Does what a training does that is told to stop, if it is."""
        assert self.asks_to_stop()
        self.ends("stopped", f"Stopped at step {len(self._losses)}.", state={"v": np.zeros(3)})

    def ends(self, status: str = "finished", message: str = "", **changes) -> None:
        values = {
            "losses": self._losses,
            "test_accuracy": 0.75 if status == "finished" else None,
            "recorded": {"batch_accuracies": [0.5] * len(self._losses)},
        }
        about = (self.config, self.data.name, self.data.checksum, status, message)
        self.run.set_result(Run(*about, **(values | changes)))


class Lab:
    """Experiments on a stage of puppets."""

    def __init__(self, **options) -> None:
        self.begun: queue.Queue[Puppet] = queue.Queue()
        self.puppets: list[Puppet] = []  # all that ever began
        self.all = Experiments(dataset(), train=self._train, **{"workers": 1} | options)

    def _train(self, config, data, on_event=None, should_stop=None, so_far=None) -> Run:
        puppet = Puppet(config, data, on_event, should_stop, so_far)
        self.puppets.append(puppet)
        self.begun.put(puppet)
        return puppet.run.result(3 * SOON)

    def next(self) -> Puppet:
        return self.begun.get(timeout=SOON)

    def submit(self, seed: int, session: str, **changes) -> Experiment:
        return self.all.submit(config(seed), session, **changes)

    def submit_all(self, *asked: tuple[int, str]) -> list[Experiment]:
        return [self.submit(seed, session) for seed, session in asked]

    def leave(self, experiment: Experiment, session: str) -> None:
        self.all.unwatch(experiment.key, session)

    def run_through(self, seed: int, **end) -> Experiment:
        experiment = self.submit(seed, "somebody")
        self.next().ends(**end)
        assert experiment.wait_until_over(SOON)
        return experiment

    def order(self, number: int) -> list[int]:
        """The seeds of the next trainings, in the order in which they begin."""
        seeds = []
        for _ in range(number):
            puppet = self.next()
            seeds.append(puppet.config.seed)
            puppet.ends()
        return seeds

    def close(self) -> None:
        self.all._waiting.clear()
        for puppet in self.puppets:
            if not puppet.run.done():
                puppet.ends("stopped")


@pytest.fixture
def lab():
    labs: list[Lab] = []

    def make(**options) -> Lab:
        labs.append(Lab(**options))
        return labs[-1]

    yield make
    for each in labs:
        each.close()


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "home")
    yield store
    store.close()


def at_once(number: int, do) -> list:
    """What `do(0)`, `do(1)` ... return, called at the same time."""
    together = threading.Barrier(number)
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(lambda index: (together.wait(), do(index))[1], range(number)))


def keys(experiments) -> list[str]:
    return [each.key for each in experiments]


def listed(room: Lab, *choice) -> list[tuple[int, str]]:
    return [(each.config.seed, each.status) for each in room.all.earlier(*choice)]


# One question, one run


def test_thirty_equal_submissions_are_one_training(lab):
    room = lab(workers=2)
    found = at_once(30, lambda number: room.submit(1, f"student {number}"))
    assert len({id(experiment) for experiment in found}) == 1
    room.next().ends()
    assert found[0].wait_until_over(SOON)
    assert room.submit(1, "late").status == "finished"
    assert len(room.puppets) == 1


def test_an_experiment_gets_its_own_config_data_and_result(lab):
    room, other = lab(), dataset("0ther")
    experiment = room.submit(5, "a", data=other)
    assert len({experiment, room.submit(5, "a"), room.submit(2, "a")}) == 3
    assert room.submit(5, "b") is room.submit(5, "a")
    puppet = room.next()
    assert (puppet.config, puppet.data) == (config(5), other)
    puppet.ends()
    assert experiment.wait_until_over(SOON)
    assert (experiment.run.config, experiment.run.test_accuracy) == (config(5), 0.75)
    assert experiment.key == config(5).key("0ther")


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_result_returns_at_once_after_a_restart(lab, store, status):
    room = lab(store=store)
    first, puppet = room.submit(1, "a"), room.next()
    puppet.steps(4)
    puppet.ends(status, "A sentence.")
    assert first.wait_until_over(SOON)
    again = lab(store=store)
    experiment = again.submit(1, "anybody")
    assert (experiment.status, experiment.message) == (status, "A sentence.")
    assert experiment.run.to_dict() == first.run.to_dict()
    assert list(experiment.snapshot().accuracies) == [0.5] * 4
    assert list(experiment.snapshot().losses) == list(first.snapshot().losses) == LOSSES[:4]
    assert (again.puppets, experiment.position) == ([], None)
    assert again.all.find(first.key) is experiment
    assert again.all.find("no such key") is lab().all.find(first.key) is None


@pytest.mark.parametrize("restart", [False, True])
def test_what_was_stopped_starts_again(lab, store, restart):
    room = lab(store=store)
    stopped = room.run_through(1, status="stopped", message="Stopped at step 3.")
    room = lab(store=store) if restart else room
    assert room.all.find(stopped.key).status == "stopped"
    assert room.run_through(1).status == "finished"
    assert store.load(stopped.key).status == "finished"


def test_a_run_whose_weights_are_gone_is_trained_again_where_they_are_needed(lab):
    room = lab()
    done = room.run_through(1)
    assert room.submit(1, "anna") is done
    again = room.submit(1, "anna", weights=True)
    assert again is not done
    room.next().ends(weights=[{"v": np.zeros(3)}])
    assert again.wait_until_over(SOON)
    assert room.submit(1, "berta", weights=True) is again


def test_thirty_who_open_one_link_read_the_store_once(lab, store, monkeypatch):
    key, reads, load = lab(store=store).run_through(1).key, [], store.load
    monkeypatch.setattr(store, "load", lambda key: (reads.append(key), load(key))[1])
    room = lab(store=store)
    assert len({id(each) for each in at_once(30, lambda _: room.all.find(key))}) == 1
    assert reads == [key]


def test_an_interrupted_run_is_shown_and_can_be_started_again(lab, store):
    key = config(1).key("c0ffee")
    store.mark_started(key, config(1), "drawn digits", "c0ffee")
    store.close()  # as if killed: the lock goes with the process
    room = lab(store=Store(store.home))
    found = room.all.find(key)
    assert (found.status, found.config, found.run) == ("interrupted", config(1), None)
    assert listed(room) == [(1, "interrupted")]
    room.run_through(1)
    assert listed(room) == [(1, "finished")]
    room.all.store.close()


# The order


@pytest.mark.parametrize(
    ("asked", "order"),
    [
        ([(11, "a"), (12, "a"), (13, "a"), (21, "b"), (22, "b"), (31, "c")], "11 21 31 12 22 13"),
        # What two wait for takes the earlier turn.
        ([(1, "a"), (2, "a"), (3, "a"), (4, "b"), (3, "c")], "1 3 4 2"),
    ],
)
def test_sessions_take_turns_and_positions_tell_the_order(lab, asked, order):
    room = lab()
    room.submit(0, "z")
    waiting = sorted(set(room.submit_all(*asked)), key=lambda each: each.position)
    assert [each.position for each in waiting] == list(range(len(waiting)))
    seeds = room.order(1 + len(waiting))[1:]
    assert seeds == [each.config.seed for each in waiting] == list(map(int, order.split()))


def test_who_was_served_longest_ago_comes_first(lab):
    room = lab()
    room.submit_all((11, "a"), (21, "b"))
    assert room.order(1) == [11]
    b_first = room.next()
    room.submit_all((22, "b"), (12, "a"))
    b_first.ends()
    assert room.order(2) == [12, 22]


def test_as_many_train_at_once_as_there_are_workers(lab):
    room = lab(workers=3)
    experiments = room.submit_all(*((seed, "a") for seed in range(4)))
    running = [room.next() for _ in range(3)]
    assert sorted(each.status for each in experiments) == ["queued"] + 3 * ["running"]
    assert room.begun.empty()
    for puppet in running:
        puppet.ends()
    room.next().ends()
    assert all(each.wait_until_over(SOON) for each in experiments)


def test_one_session_never_holds_the_last_worker_while_another_waits(lab):
    room = lab(workers=2)
    hers = room.submit_all((1, "a"), (2, "a"), (3, "a"))
    puppets = {puppet.config.seed: puppet for puppet in (room.next(), room.next())}
    others = room.submit_all((10, "b"), (11, "b"), (12, "c"))
    assert not puppets[1].asks_to_stop()  # it has not come on at all
    for puppet in puppets.values():
        puppet.steps(2)
    assert puppets[2].asks_to_stop()
    assert not puppets[1].asks_to_stop()  # one is enough: then she holds one worker
    puppets[2].pauses()
    guest = room.next()
    assert guest.config.seed == 10
    assert [each.status for each in hers] == ["running", "queued", "queued"]
    assert (hers[1].snapshot().step, others[2].position, hers[1].position) == (2, 0, 1)
    guest.ends()
    assert room.order(1) == [12]
    back = room.next()  # each was served once; hers is the oldest turn, and b has none either
    assert back.config.seed == 11
    back.ends()
    again = room.next()
    assert (again.config.seed, again.so_far.losses) == (2, LOSSES[:2])
    again.steps(3)
    assert list(hers[1].snapshot().losses) == LOSSES
    again.ends()
    assert hers[1].wait_until_over(SOON)
    assert hers[1].run.losses == LOSSES


def test_a_long_training_steps_aside_for_who_has_none_and_for_nobody_else(lab, store):
    now = [0.0]
    room = lab(clock=lambda: now[0], store=store)
    long = room.submit(1, "a")
    puppet = room.next()
    room.submit(2, "a")
    waits = room.submit(3, "b")
    puppet.steps(2)
    assert not puppet.asks_to_stop()
    now[0] += module.STRETCH_SECONDS
    puppet.pauses()
    assert room.order(1) == [3]
    assert waits.wait_until_over(SOON)
    again = room.next()  # before all that have not begun
    assert (again.config.seed, long.status) == (1, "running")
    assert store.load(long.key).message == "Kept at step 2, while it was under way."
    now[0] += module.STRETCH_SECONDS
    assert not again.asks_to_stop()  # it has not come on since
    again.steps(1)
    again.pauses()  # only to be kept: her own second training gets no turn
    last = room.next()
    assert (last.config.seed, last.so_far.losses) == (1, LOSSES[:3])
    assert store.load(long.key).losses == LOSSES[:3]
    last.ends()
    assert long.wait_until_over(SOON)
    assert room.order(1) == [2]
    assert store.load(long.key).status == "finished"


@pytest.mark.parametrize("how", ["leaves", "stops all", "closes"])
def test_what_stepped_aside_is_kept_when_it_never_comes_back(lab, store, how):
    now = [0.0]
    room = lab(clock=lambda: now[0], store=store)
    long, _ = room.submit_all((1, "a"), (2, "b"))
    puppet = room.next()
    puppet.steps(2)
    now[0] += module.STRETCH_SECONDS
    puppet.pauses()
    other = room.next()
    if how == "leaves":
        room.leave(long, "a")
    elif how == "stops all":
        assert len(room.all.stop()) == 2
    else:
        room.all.close(0)
    assert other.asks_to_stop() == (how != "leaves")
    assert long.wait_until_over(SOON)
    assert (long.status, long.message, long.run.losses) == (
        "stopped",
        "Stopped at step 2.",
        LOSSES[:2],
    )
    kept = store.load(long.key)
    assert (kept.losses, list(kept.state)) == (LOSSES[:2], ["v"])


def test_one_training_can_be_stopped_for_everybody(lab):
    room = lab()
    running, waiting, other = room.submit_all((1, "a"), (2, "a"), (3, "b"))
    puppet = room.next()
    assert room.all.stop([waiting.key]) == [waiting]
    assert (waiting.status, other.position, puppet.asks_to_stop()) == ("stopped", 0, False)
    assert room.all.stop([running.key]) == [running]
    assert puppet.asks_to_stop()


KILLED = """
import os, pickle, signal, sys, time
from normlib.config import TrainConfig
from pages.lab import queue
from pages.lab.store import Store

queue.STRETCH_SECONDS = 0.0  # it is kept after each call
store, data = Store(sys.argv[1]), pickle.load(open(sys.argv[2], "rb"))
kept, save = [], store.save

def until_the_sixth(run, key):
    save(run, key)
    kept.append(len(run.losses))
    if len(kept) == 6:
        os.kill(os.getpid(), signal.SIGKILL)

store.save = until_the_sixth
queue.Experiments(data, store).submit(TrainConfig.from_json(sys.argv[3]), "a")
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_what_a_killed_server_had_kept_goes_on_to_the_last_bit(tmp_path, drawn):
    from normlib.training import train

    asked = TrainConfig(train_size=330, batch_size=32, epochs=3, normalization="batch")
    (tmp_path / "data").write_bytes(pickle.dumps(drawn))
    home = str(tmp_path / "killed")
    command = [sys.executable, "-c", KILLED, home, str(tmp_path / "data"), asked.to_json()]
    assert subprocess.run(command, cwd=ROOT).returncode == -9
    store = Store(home)
    again = Experiments(drawn, store)
    kept = again.find(asked.key(drawn.checksum))
    assert (kept.status, kept.message) == ("stopped", "Kept at step 21, while it was under way.")
    experiment = again.submit(asked, "a")
    assert experiment.wait_until_over(3 * SOON)
    whole, run = train(asked, drawn), store.load(experiment.key)
    assert (run.losses, run.recorded) == (whole.losses, whole.recorded)
    assert (run.test_accuracy, run.status) == (whole.test_accuracy, "finished")
    arrays = run.arrays()
    assert arrays.keys() == whole.arrays().keys()
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(arrays[name], array)
    store.close()


def test_a_training_that_would_hold_a_server_for_hours_is_refused_with_a_sentence(lab):
    from normlib.cnn import SmallCNN

    room, largest = lab(), replace(dataset(), train_images=np.zeros((55_000, 1), np.uint8))
    worst = TrainConfig(hidden_units=1000, epochs=50, batch_size=1)
    with pytest.raises(QueueFull, match="2,750,000 steps of a network with 5,890,000 weights"):
        room.all.submit(worst, "a", largest)
    usual = TrainConfig(hidden_units=1000, epochs=50, batch_size=64)
    assert room.all.submit(usual, "a", largest).status == "running"
    kernels = [kernel() for _, kernel, _ in SmallCNN(worst).layers()[1:]]
    assert sum(int(np.prod(kernel.shape)) for kernel in kernels) == 5_890_000


# Watching and stopping


def test_a_training_ends_when_its_last_watcher_leaves(lab):
    room = lab()
    experiment = room.submit(1, "a")
    room.submit(1, "b")
    puppet = room.next()
    assert not puppet.asks_to_stop()
    for _ in range(2):  # twice is once
        room.leave(experiment, "a")
        assert not room.all.watching(experiment.key, "a")
        assert not puppet.asks_to_stop()
    room.leave(experiment, "b")
    assert room.submit(1, "c") is experiment  # it has not noticed yet
    assert not puppet.asks_to_stop()
    room.leave(experiment, "c")
    assert puppet.asks_to_stop()
    puppet.ends("stopped", "Stopped at step 2.")
    assert experiment.wait_until_over(SOON)
    assert (experiment.status, experiment.message) == ("stopped", "Stopped at step 2.")


def test_who_comes_while_it_stops_gets_a_new_training(lab, store):
    room = lab(store=store)
    old = room.submit(1, "a")
    puppet = room.next()
    room.leave(old, "a")
    assert puppet.asks_to_stop()
    new = room.submit(1, "b")
    assert new is not old
    puppet.ends("stopped", "Stopped.")
    room.next().ends()
    assert new.wait_until_over(SOON)
    assert (old.status, new.status) == ("stopped", "finished")
    assert room.all.find(new.key) is new
    assert store.load(new.key).status == "finished"


def test_a_queued_one_leaves_the_queue_with_its_last_watcher(lab):
    room = lab()
    before = room.run_through(3, status="stopped")
    _, going, staying, again = room.submit_all((0, "z"), (1, "a"), (2, "b"), (3, "d"))
    room.submit(1, "c")
    room.leave(going, "a")
    assert (going.status, going.position) == ("queued", 0)  # c waits for it still
    room.leave(going, "c")
    assert (going.status, going.position, staying.position) == ("stopped", None, 0)
    assert going.wait_until_over(0)
    assert going.message == "Taken out of the queue before it began."
    assert going.key not in keys(room.all.earlier())
    room.leave(again, "d")
    assert room.all.find(again.key) is before  # the run that was there is back
    assert room.order(2) == [0, 2]
    assert staying.wait_until_over(SOON)
    assert len(room.puppets) == 3


@pytest.mark.parametrize("somebody_waits", [False, True])
def test_a_forgotten_training_gives_way_to_somebody_who_waits_and_else_to_nobody(
    lab, somebody_waits
):
    now = [0.0]
    room = lab(clock=lambda: now[0])
    room.submit(1, "a")
    if somebody_waits:
        room.submit(2, "b")
    puppet = room.next()
    for _ in range(2):
        assert not puppet.asks_to_stop()
        now[0] += 0.9 * module.PATIENCE_SECONDS
        room.all.seen("b")
    assert puppet.asks_to_stop() == somebody_waits


# Limits


def test_a_thousand_submissions_from_one_session_hurt_nobody(lab, monkeypatch):
    monkeypatch.setattr(module, "SESSION_LIMIT", 10)
    room, refused = lab(), 0
    room.submit(0, "z")
    for seed in range(1, 1001):
        try:
            room.submit(seed, "hog")
        except QueueFull as error:
            refused += 1
            assert str(error).startswith("You already have 10 trainings waiting")
    assert refused == 990
    assert isinstance(QueueFull("x"), ValueError)
    assert room.submit(2000, "polite").position <= 1
    assert 2000 in room.order(3)


def test_a_full_queue_lets_in_who_has_nothing_waiting_and_refuses_more(lab, monkeypatch):
    monkeypatch.setattr(module, "QUEUE_LIMIT", 3)
    room = lab()
    _, *waiting = room.submit_all((0, "z"), (1, "a"), (2, "a"), (3, "b"), (4, "late"))
    for session in ("a", "b", "late"):
        with pytest.raises(QueueFull, match="3 trainings are already waiting"):
            room.submit(5, session)
    assert room.submit(3, "late") is waiting[2]


def test_memory_holds_the_newest_runs_and_the_store_the_others(lab, store, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 3)
    room = lab(store=store)
    ended = [room.run_through(seed) for seed in range(6)]
    assert list(room.all._known) == keys(ended[-3:])
    assert room.all.find(ended[0].key).run.to_dict() == ended[0].run.to_dict()
    assert len(room.all._known) == 3
    alone = lab()
    ended = [alone.run_through(seed) for seed in range(4)]
    assert [alone.all.find(each.key) for each in ended] == [None, *ended[1:]]


def test_memory_is_bounded_in_bytes_too_and_failures_take_none(lab, store, monkeypatch):
    monkeypatch.setattr(module, "KEPT_BYTES", 10_000)
    room = lab(store=store)
    failed = room.submit(9, "a")
    room.next().run.set_exception(ValueError("no"))
    assert failed.wait_until_over(SOON)
    for seed in range(5):
        room.run_through(seed, weights=[{"v": np.zeros(500)}])
    assert len(room.all._known) == 3
    assert room.all.find(failed.key) is failed


def test_a_run_that_the_disk_refused_is_forgotten_last(lab, store, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 2)
    kept = [lab(store=store).run_through(seed) for seed in (1, 2, 3)]
    room = lab(store=store)
    monkeypatch.setattr(store, "save", lambda run, key: False)
    refused = room.run_through(4)
    for experiment in kept:
        assert room.all.find(experiment.key).run.to_dict() == experiment.run.to_dict()
    assert room.all.find(refused.key) is refused
    assert len(room.all._known) == 2


# What a page reads


def test_a_snapshot_tells_what_happened_so_far(lab):
    room = lab()
    experiment = room.submit(1, "a")
    puppet = room.next()
    puppet.tell(Started(steps=10, steps_per_epoch=10))
    first = experiment.snapshot()
    assert (first.steps, first.seconds_left) == (10, None)
    puppet.steps(2)
    puppet.steps(3, images_per_second=640.0)
    puppet.tell(EpochEnd(EpochResult(1, 0.01, 0.64, 0.9, 1.5)))
    snapshot = experiment.snapshot()
    assert experiment.snapshot() is snapshot
    assert (snapshot.status, snapshot.step, snapshot.steps) == ("running", 5, 10)
    assert list(snapshot.losses) == LOSSES
    assert list(snapshot.accuracies) == [0.5] * 5
    assert {name: list(rows) for name, rows in snapshot.recorded.items()} == {"step": [2, 5]}
    assert list(snapshot.epochs) == [EpochResult(1, 0.01, 0.64, 0.9, 1.5)]
    assert (snapshot.seconds, snapshot.images_per_second) == (1.5, 640.0)
    assert snapshot.seconds_left == pytest.approx(5 * 64 / 640)
    puppet.ends(losses=[3.0, 2.0], seconds=4.0)
    assert experiment.wait_until_over(SOON)
    assert list(snapshot.losses) == LOSSES  # it stays what it was
    final = experiment.snapshot()
    assert (final.status, list(final.losses), final.seconds) == ("finished", [3.0, 2.0], 4.0)
    assert (final.step, final.seconds_left) == (2, 0.0)


def test_a_look_costs_the_same_however_long_the_run_is(lab):
    room = lab()
    experiment = room.submit(1, "a")
    puppet = room.next()
    puppet.steps(100_000, steps=200_000)
    before = experiment.snapshot()
    puppet.steps(1, steps=200_000)
    now = experiment.snapshot()
    assert (len(before.losses), len(now.losses)) == (100_000, 100_001)
    assert now.losses._items is before.losses._items  # read up to a length, never copied


def test_a_prefix_is_read_like_a_copy():
    prefix = Prefix([1, 2, 3])
    longer = prefix.grown([4, 5])
    assert (list(prefix), list(longer), len(prefix)) == ([1, 2, 3], [1, 2, 3, 4, 5], 3)
    for at in (0, 2, -1, -3, slice(None), slice(-2, None), slice(1), slice(None, None, -1)):
        assert prefix[at] == [1, 2, 3][at]
    with pytest.raises(IndexError):
        prefix[3]


def test_earlier_lists_live_and_stored_newest_first(lab, store):
    lab(store=store).run_through(1)
    room = lab(store=store)
    failed = room.submit(2, "a")
    room.next().run.set_exception(RuntimeError("no"))
    assert failed.wait_until_over(SOON)
    room.submit_all((3, "a"), (4, "a"))
    live = [(4, "queued"), (3, "running")]
    assert listed(room) == [*live, (2, "failed"), (1, "finished")]
    assert listed(room, 2) == live


def test_runs_on_uploaded_data_are_offered_to_those_alone_who_use_the_same(lab, store):
    room, mine = lab(store=store), dataset("1" * 64, UPLOADED)
    for seed, data in ((1, mine), (2, None)):
        experiment = room.submit(seed, "a", data=data)
        room.next().ends()
        assert experiment.wait_until_over(SOON)
    room.submit(3, "a", data=mine)
    uploaded_are_newest = lab(store=store)
    uploaded_are_newest.submit(4, "a", data=mine)
    for each in (room, uploaded_are_newest):
        assert listed(each, 1, "c0ffee") == listed(each) == [(2, "finished")]
    # Number 4 too, as soon as the server on which it runs has written down that it began.
    here = [one for one in listed(room, 5, mine.checksum) if one != (4, "running")]
    assert here == [(3, "running"), (2, "finished"), (1, "finished")]


# Faults


@pytest.mark.parametrize("error", [MemoryError("no room for 5 GB"), SystemExit("no room for 5 GB")])
def test_a_failure_is_a_sentence_for_the_student_and_a_traceback_in_the_log(
    lab, store, caplog, error
):
    room = lab(store=store)
    failing, next_one = room.submit_all((1, "a"), (2, "b"))
    with caplog.at_level(logging.ERROR):
        room.next().run.set_exception(error)
        assert failing.wait_until_over(SOON)
    assert failing.status == "failed"
    name = type(error).__name__
    assert failing.message.startswith(f"The training failed on the server ({name}): ")
    assert "no room for 5 GB" not in failing.message
    assert "no room for 5 GB" in caplog.text and "Traceback" in caplog.text
    room.next().ends()  # the worker goes on
    assert next_one.wait_until_over(SOON)
    store.close()
    assert [each.config.seed for each in store.list()] == [2]  # nothing looks interrupted
    assert room.run_through(1).status == "finished"


def test_a_fault_while_a_training_ends_costs_no_worker(lab, monkeypatch):
    room = lab()
    first, second = room.submit_all((1, "a"), (2, "a"))
    forget_some = room.all._forget_some

    def fail_once() -> None:
        monkeypatch.setattr(room.all, "_forget_some", forget_some)
        raise KeyError("a fault of ours")

    monkeypatch.setattr(room.all, "_forget_some", fail_once)
    assert room.order(2) == [1, 2]
    assert second.wait_until_over(SOON)
    assert (first.status, second.status) == ("finished", "finished")  # ended once, not twice


def test_a_disk_that_refuses_costs_no_run_and_gets_them_later(lab, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    store = Store(blocker / "home")
    room = lab(store=store)
    experiments = [room.run_through(seed) for seed in range(3)]
    assert store.problem.startswith("Runs are not being kept")
    assert [each.status for each in experiments] == ["finished"] * 3
    assert room.all.find(experiments[0].key) is experiments[0]
    assert len(room.all.earlier()) == 3
    blocker.unlink()
    experiments.append(room.run_through(3))
    assert store.problem == ""
    assert set(keys(store.list())) == set(keys(experiments))
    store.close()


def test_a_store_with_a_fault_costs_no_run(lab, store, monkeypatch, caplog):
    def save(run, key):
        raise TypeError("a fault of ours")

    monkeypatch.setattr(store, "save", save)
    assert lab(store=store).run_through(1).status == "finished"
    assert "a fault of ours" in caplog.text


def test_closing_keeps_what_runs_and_begins_nothing_else(lab, store):
    room = lab(store=store)
    running, waiting = room.submit_all((1, "a"), (2, "b"))
    puppet = room.next()
    closing = threading.Thread(target=room.all.close)
    closing.start()
    while not puppet.asks_to_stop():
        pass
    puppet.ends("stopped", "Stopped at step 2.")
    closing.join(SOON)
    assert store.load(running.key).message == "Stopped at step 2."
    assert (len(room.puppets), waiting.status) == (1, "stopped")


def test_a_run_is_on_disk_before_anybody_sees_it_as_finished(lab, store, monkeypatch):
    room = lab(store=store)
    experiment = room.submit(1, "a")
    seen, save = [], store.save

    def watched(run, key):
        kept = save(run, key)
        seen.append((experiment.status, store.load(key) is not None))
        return kept

    monkeypatch.setattr(store, "save", watched)
    room.next().ends()
    assert experiment.wait_until_over(SOON)
    assert seen == [("running", True)]


def test_the_queue_and_the_store_do_without_tensorflow():
    code = "import sys, pages.lab.queue, pages.lab.store; print('tensorflow' in sys.modules)"
    told = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert told == "False\n"
