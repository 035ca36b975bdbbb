"""Runs on disk: they come back whole, and no fault of the disk or its files stops the app."""

import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy

from normlib.config import TrainConfig
from normlib.run import EpochResult, Run
from pages.lab import sqlite_file
from pages.lab import store as store_module
from pages.lab.store import Store

ROOT = Path(__file__).parents[1]
KILLS = int(os.environ.get("NORMLAB_KILLS", "4"))
PAGE = 4096


def make_run(seed: int = 0, status: str = "finished", **changes) -> Run:
    draw = np.random.default_rng(seed)
    finished = status == "finished"
    values = {
        "message": "" if finished else "Stopped at step 4.",
        "losses": draw.random(20).tolist(),
        "epochs": [EpochResult(1, 0.01, 0.64, 0.9, 1.5), EpochResult(2, 0.005, 0.32, 0.95, 1.25)],
        "test_accuracy": 0.9375 if finished else None,
        "seconds": 2.75,
        "images_per_second": 4000.0,
        "recorded": {"step": [10, 20], "conv_input": [[-1.0, 0.0, 1.0], [-2.0, 0.5, 3.0]]},
        "versions": {"normlib": "1.0.0"},
        "predictions": draw.integers(0, 10, 50).astype(np.uint8),
        "weights": [{"conv/v": draw.random((5, 5, 1, 3)), "g": draw.random(3)}] * 2,
    }
    about = (TrainConfig(seed=seed, epochs=2), "drawn digits", "c0ffee", status)
    return Run(*about, **(values | changes))


def assert_same(found: Run | None, run: Run) -> None:
    assert found is not None
    assert found.to_dict() == run.to_dict()
    assert found.arrays().keys() == run.arrays().keys()
    for name, array in run.arrays().items():
        assert found.arrays()[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays()[name], array)


@pytest.fixture
def opened():
    """Opens stores, and closes them after the test."""
    stores: list[Store] = []

    def make(home: Path) -> Store:
        stores.append(Store(home))
        return stores[-1]

    yield make
    for each in stores:
        each.close()


@pytest.fixture
def store(opened, tmp_path):
    return opened(tmp_path / "home")


def mark(store: Store, run: Run) -> bool:
    return store.mark_started(run.key, run.config, run.data_name, run.data_checksum)


def keys(store: Store, limit: int | None = None) -> list[str]:
    return [summary.key for summary in store.list(limit)]


def statuses(store: Store) -> list[str]:
    return [summary.status for summary in store.list()]


def fine(store: Store) -> bool:
    """Whether it has nothing to complain of."""
    return (store.problem, store.notice) == ("", "")


def raw(store: Store, query: str, *values: object) -> list[tuple]:
    """What SQLite answers on the connection that the store uses when nobody else does."""
    with closing(store._engine.raw_connection()) as connection:
        return connection.cursor().execute(query, *values).fetchall()


def sql(path: Path, *queries: str) -> list[tuple]:
    """What SQLite answers to the last of these, on a connection of its own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for query in queries:
            answer = connection.execute(query).fetchall()
        return answer


def assert_keeps(store: Store, run: Run) -> None:
    assert store.save(run)
    assert_same(store.load(run.key), run)
    assert store.problem == ""


def set_aside(home: Path) -> list[Path]:
    return sorted(home.glob("runs-set-aside-*.sqlite3"))


# Keeping


def test_a_run_survives_json_that_knows_no_infinities_and_no_numpy():
    losses = [2.0, float("inf"), float("nan"), -float("inf")]
    run = make_run(losses=losses, test_accuracy=np.float32(0.5), recorded={"a": [np.arange(2)]})
    written = json.loads(json.dumps(run.to_dict(), allow_nan=False))
    assert list(written) == [
        *("config", "data", "status", "message", "losses", "epochs", "test_accuracy"),
        *("seconds", "images_per_second", "recorded", "versions"),
    ]
    assert (written["test_accuracy"], written["recorded"]) == (0.5, {"a": [[0, 1]]})
    found = Run.from_dict(written, run.arrays())
    assert_same(found, run)
    np.testing.assert_array_equal(found.losses, losses)


@pytest.mark.parametrize("status", ["finished", "stopped", "diverged"])
def test_a_run_comes_back_whole_after_a_restart(store, status):
    run = make_run(status=status)
    assert store.load(run.key) is store.summary(run.key) is None
    assert store.list() == []
    assert store.save(run)
    store.close()
    assert_same(store.load(run.key), run)
    assert_keeps(store, make_run(1, status, weights=[{}, {"v": np.zeros(3)}]))  # without the first
    assert fine(store)


def test_lists_tell_what_the_runs_hold_newest_first(store):
    runs = [make_run(seed) for seed in range(3)]
    assert all(map(store.save, runs))
    assert keys(store) == [run.key for run in reversed(runs)]
    assert keys(store, 2) == [runs[2].key, runs[1].key]
    newest, *_, oldest = store.list()
    assert newest.config == runs[2].config
    assert (newest.steps, newest.epochs, newest.train_loss) == (20, 2, 0.32)
    assert (newest.test_accuracy, newest.status) == (0.9375, "finished")
    assert store.summary(runs[0].key) == oldest


def test_a_stopped_run_gives_way_to_a_finished_one_and_never_the_other_way(store):
    stopped, finished = make_run(status="stopped"), make_run()
    for run in (stopped, finished, stopped):
        store.save(run)
    assert_same(store.load(finished.key), finished)


def test_weights_of_the_oldest_runs_give_way_when_the_file_grows_too_large(store, monkeypatch):
    runs = [make_run(seed, weights=[{"v": np.zeros(20_000)}]) for seed in range(5)]  # 160 kB each
    monkeypatch.setattr(store_module, "MAX_BYTES", 500_000)
    assert all(map(store.save, runs[:4]))
    raw(store, "UPDATE contents SET arrays = zeroblob(200000) WHERE key = ?", (runs[1].key,))
    assert store.save(runs[4])
    found = [store.load(run.key) for run in runs]
    assert [bool(run.weights) for run in (found[0], *found[2:])] == [False, True, True, True]
    assert found[0].losses == runs[0].losses
    np.testing.assert_array_equal(found[0].predictions, runs[0].predictions)
    assert len(store.list()) == 5
    assert found[1].predictions is None  # what could not be read is gone, and no more


def test_home_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for said, found in (("elsewhere", "elsewhere"), ("~/mine", "mine"), ("", ".normlab")):
        monkeypatch.setenv("NORMLAB_HOME", said)
        with closing(Store()) as store:
            assert store.path == tmp_path / found / "runs.sqlite3"
    assert not (tmp_path / "~").exists()


_ABOUT = "config TEXT NOT NULL, data_name TEXT NOT NULL, data_checksum TEXT NOT NULL"
# What the version before this one made.
_PREVIOUS = (
    f"""CREATE TABLE runs (
        key TEXT PRIMARY KEY, status TEXT NOT NULL, {_ABOUT}, changed REAL NOT NULL,
        message TEXT NOT NULL, steps INTEGER NOT NULL, epochs INTEGER NOT NULL,
        train_loss REAL, test_accuracy REAL, seconds REAL NOT NULL)""",
    "CREATE INDEX runs_changed ON runs (changed)",
    "CREATE TABLE contents (key TEXT PRIMARY KEY, run BLOB NOT NULL, arrays BLOB)",
    f"""CREATE TABLE started (
        key TEXT PRIMARY KEY, {_ABOUT}, changed REAL NOT NULL, owner TEXT NOT NULL)""",
    "PRAGMA application_id = 0x4E4F524D",
    "PRAGMA user_version = 1",
)


def test_the_file_of_the_previous_version_goes_on(opened, store, tmp_path):
    run, packed = make_run(), zlib.compress(json.dumps(make_run().to_dict()).encode()).hex()
    about = f"'finished', '{run.config.to_json()}', 'drawn digits', 'c0ffee', 1, '', 20, 2"
    sql(
        tmp_path / "runs.sqlite3",
        *_PREVIOUS,
        f"INSERT INTO contents VALUES ('{run.key}', x'{packed}', NULL)",
        f"INSERT INTO runs VALUES ('{run.key}', {about}, 0.32, 0.9375, 2.75)",
    )
    previous = opened(tmp_path)
    assert previous.load(run.key).to_dict() == run.to_dict()
    assert previous.summary(run.key).train_loss == 0.32
    assert previous.save(make_run(1))
    assert len(previous.list()) == 2 and fine(previous)
    for table in ("runs", "contents", "started"):  # that one writes to ours in this order
        names = [row[1] for row in raw(previous, f"PRAGMA table_info({table})")]
        assert names == [row[1] for row in raw(store, f"PRAGMA table_info({table})")]


# Many at a time


def asked_while(store: Store, do) -> list[str]:
    """What the store asks the database while it does that."""
    asked: list[str] = []
    listener = (store._engine, "before_cursor_execute", lambda *about: asked.append(about[2]))
    sqlalchemy.event.listen(*listener)
    do()
    sqlalchemy.event.remove(*listener)
    return asked


def test_neither_a_save_nor_a_list_reads_what_other_runs_hold(store):
    assert all(store.save(make_run(seed)) for seed in range(3))
    asked = asked_while(store, lambda: (store.list(), store.list(2), store.summary("a key")))
    assert sum("FROM runs" in one for one in asked) >= 3
    assert "contents" not in " ".join(asked)
    asked = [one for one in asked_while(store, lambda: store.save(make_run(3))) if "arrays" in one]
    assert [one.split("\n")[0] for one in asked] == [
        'INSERT INTO contents ("key", run, arrays) VALUES (?, ?, ?)',
        "SELECT sum(length(contents.arrays)) AS sum_1 ",  # the database knows a length unread
    ]


def test_reading_waits_for_no_writer(store, monkeypatch):
    kept, writing, go_on = make_run(1), threading.Event(), threading.Event()
    store.save(kept)

    def held_up(connection) -> None:
        writing.set()
        assert go_on.wait(20)

    monkeypatch.setattr(store_module, "_make_room", held_up)
    writer = threading.Thread(target=store.save, args=(make_run(2),))
    writer.start()
    assert writing.wait(20)
    assert_same(store.load(kept.key), kept)
    assert keys(store) == [kept.key]  # the other is not there yet
    go_on.set()
    writer.join()
    assert len(store.list()) == 2


def test_many_threads_share_one_store(store):
    runs = [make_run(seed) for seed in range(24)]
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda run: store.save(run) and store.list(5), runs))
    assert store.problem == ""
    for run in runs:
        assert_same(store.load(run.key), run)


# Interrupted


def test_what_this_process_trains_is_running_until_it_is_saved_or_fails(store):
    run, failing = make_run(), make_run(1)
    mark(store, run)
    assert store.summary(run.key).status == "running"
    store.save(run)
    mark(store, failing)
    assert statuses(store) == ["running", "finished"]
    store.forget_started(failing.key)
    assert statuses(store) == ["finished"]
    assert raw(store, "SELECT count(*) FROM started") == [(0,)]


_START_AND_WAIT = """
import sys
sys.path.insert(0, "tests")
from test_store import Store, make_run, mark
store = Store(sys.argv[1])
mark(store, make_run(7))
print("started", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_trained_is_interrupted_and_can_start_again(store):
    run, pipes = make_run(7), {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(
        [sys.executable, "-c", _START_AND_WAIT, str(store.home)], cwd=ROOT, **pipes
    )
    try:
        assert process.stdout.readline() == b"started\n"
        assert store.summary(run.key).status == "running"
    finally:
        process.kill()
        process.communicate()
    summary = store.summary(run.key)
    assert (summary.status, summary.config) == ("interrupted", run.config)
    assert summary.message.endswith("it can be started again.")
    mark(store, run)
    assert statuses(store) == ["running"]


def test_a_lock_file_that_goes_while_it_is_looked_at_is_no_trouble(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda folder, _: iter([folder / "process-gone.lock"]))
    store = opened(tmp_path)
    assert store.save(make_run()) and fine(store)


# Files that are no store


def of_version_99(path: Path) -> None:
    Store(path.parent).close()
    sql(path, "PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b"Dear diary, " * 1000), "it is damaged"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(5000)), "it is damaged"),
        (lambda path: sql(path, "CREATE TABLE recipes (name TEXT)"), "to another program"),
        (
            lambda path: sql(path, "PRAGMA application_id = 1", "CREATE TABLE recipes (name)"),
            "to another program",
        ),
        (of_version_99, "it is of version 99"),
    ],
)
def test_a_file_that_is_no_store_is_set_aside_unharmed(opened, tmp_path, spoil, reason):
    path = tmp_path / "runs.sqlite3"
    spoil(path)
    before = path.read_bytes()
    store = opened(tmp_path)
    (aside,) = set_aside(tmp_path)
    assert aside.read_bytes() == before
    assert reason in store.notice
    assert aside.name in store.notice
    assert_keeps(store, make_run())


def test_an_empty_file_is_a_new_store(opened, tmp_path):
    (tmp_path / "runs.sqlite3").touch()
    assert_keeps(opened(tmp_path), make_run())
    assert set_aside(tmp_path) == []


def filled(home: Path, number: int = 12) -> tuple[list[Run], Path]:
    """So many runs in a store that is closed again, and its file."""
    losses = np.random.default_rng(0).random((number, 2000)).tolist()
    runs = [make_run(seed, losses=losses[seed]) for seed in range(number)]
    with closing(Store(home)) as store:
        assert all(map(store.save, runs))
    return runs, store.path


def overwrite(path: Path, page: int, garbage: bytes = bytes(range(256)) * (PAGE // 256)) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(garbage)


@pytest.mark.parametrize("seed", [None, *range(6)])
def test_no_damage_stops_the_store_or_changes_a_run(opened, tmp_path, seed):
    runs, path = filled(tmp_path)
    dice, size = random.Random(seed), path.stat().st_size
    if seed is None:
        os.truncate(path, size // 2 // PAGE * PAGE)
    else:
        for page in dice.sample(range(size // PAGE), 1 + seed % 3):
            overwrite(path, page, dice.randbytes(PAGE))
    store = opened(tmp_path)
    found = [store.load(run.key) for run in runs]
    for run, again in zip(runs, found, strict=True):
        if again is not None:
            assert_same(again, run)
    assert None not in found or store.notice
    assert "damaged" in store.notice or seed is not None
    for run in (make_run(99), *runs):  # what was lost can be trained and kept again
        assert_keeps(store, run)
    for aside in set_aside(tmp_path):
        # The newest pages may have been written before the damage was met: none is cut off.
        assert aside.stat().st_size >= size // 2


def test_one_damaged_page_costs_few_runs(opened, tmp_path):
    runs, path = filled(tmp_path)
    overwrite(path, path.stat().st_size // PAGE - 2)  # of the last run's content
    store = opened(tmp_path)
    assert sum(store.load(run.key) is not None for run in runs) >= len(runs) - 1


def test_runs_are_carried_over_from_a_file_with_a_damaged_index(opened, tmp_path):
    runs, path = filled(tmp_path)
    ((page,),) = sql(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'runs_changed'")
    overwrite(path, page - 1)
    store = opened(tmp_path)
    assert len(set_aside(tmp_path)) == 1
    assert store.notice.endswith("and 12 of its runs could be read and are here.")
    for run in runs:
        assert_same(store.load(run.key), run)


def test_a_file_in_use_elsewhere_is_set_aside_with_its_log(opened, store):
    store.save(make_run())
    raw(store, "PRAGMA user_version = 99")
    second = opened(store.home)  # the first is still open, so its log is not folded in
    (aside,) = set_aside(store.home)
    assert sql(aside, "SELECT count(*) FROM runs") == [(1,)]
    assert second.list() == []
    assert second.save(make_run(1))
    second.close()
    assert sql(second.path, "PRAGMA integrity_check") == [("ok",)]


def test_a_deleted_or_replaced_folder_is_begun_anew_while_the_app_runs(store):
    store.save(make_run(1))
    store.path.rename(store.home / "moved.sqlite3")
    run = make_run(2)
    assert store.save(run)
    assert keys(store) == [run.key]
    for path in store.home.iterdir():
        path.unlink()
    store.home.rmdir()
    assert_keeps(store, run)


# Disks that refuse


def test_a_home_that_cannot_be_made_is_a_problem_and_no_more(opened, tmp_path):
    (tmp_path / "file").write_text("in the way")
    store, run = opened(tmp_path / "file" / "home"), make_run()
    assert store.problem.startswith("Runs are not being kept: the folder cannot be written to")
    assert not store.save(run)
    assert not mark(store, run)
    assert store.load(run.key) is None
    assert store.list() == []
    (tmp_path / "file").unlink()
    assert_keeps(store, run)


def python(code: str, *arguments: object, **options) -> list[str]:
    """The lines that this code prints, in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()


_READ_ONLY = """
import codecs, os, sqlalchemy, sys
from normlib.config import TrainConfig
from pages.lab.store import Store
if os.geteuid() == 0:  # root may write everywhere, nobody may not
    # What is imported at its first use must be there before: nobody may not be able to read it.
    codecs.lookup("cp437")  # of zip files
    sqlalchemy.create_engine("sqlite://").connect().close()
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
store = Store(sys.argv[1])
print(store.problem)
print(len(store.list()), store.load(sys.argv[2]) is not None)
print(store.mark_started("k", TrainConfig(), "MNIST", "abc"), store.problem != "")
print(len(store.list()), store.load(sys.argv[2]) is not None)
"""


def test_a_read_only_folder_still_shows_its_runs():
    with tempfile.TemporaryDirectory() as folder:  # tmp_path lies where only its owner may look
        home = Path(folder)
        runs, path = filled(home, 3)
        before = {path.name: path.read_bytes() for path in home.iterdir()}
        path.chmod(0o444)
        home.chmod(0o555)
        try:
            problem, *answers = python(_READ_ONLY, home, runs[0].key)
        finally:
            home.chmod(0o755)
        assert {path.name: path.read_bytes() for path in home.iterdir()} == before
    assert problem.startswith("Runs are not being kept: the folder cannot be written to")
    assert answers == ["3 True", "False True", "3 True"]


def test_a_full_disk_is_a_problem_until_there_is_room_again(store):
    kept, refused = make_run(1), make_run(2, losses=list(np.random.default_rng(0).random(9000)))
    store.save(kept)
    ((pages,),) = raw(store, "PRAGMA page_count")
    raw(store, f"PRAGMA max_page_count = {pages + 1}")
    assert not store.save(refused)
    assert store.problem == f"Runs are not being kept: the disk is full ({store.path})."
    assert store.load(refused.key) is None
    assert_same(store.load(kept.key), kept)
    raw(store, "PRAGMA max_page_count = 1000000")
    assert_keeps(store, refused)


def test_a_file_held_by_another_program_is_a_problem_until_it_lets_go(
    opened, tmp_path, monkeypatch
):
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.02)
    store = opened(tmp_path)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not store.save(make_run())
        assert "another program is holding the file" in store.problem
    assert_keeps(store, make_run())


# Other processes, and kills

_SAVE = """
import itertools, sys
sys.path.insert(0, "tests")
from test_store import Store, make_run, mark
store = Store(sys.argv[1])
for seed in itertools.count(int(sys.argv[2])):
    run = make_run(seed)
    mark(store, run)
    if not store.save(run):
        break
    print(run.key, flush=True)
print(store.problem)
"""


def test_writes_that_the_system_cuts_short_lose_nothing_that_was_kept(opened, tmp_path):
    def at_most_400_kb() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    *promised, problem = python(_SAVE, tmp_path, 0, preexec_fn=at_most_400_kb)
    assert problem.startswith("Runs are not being kept: ")
    assert len(promised) > 3
    store = opened(tmp_path)
    assert {each.key for each in store.list() if each.status == "finished"} == set(promised)
    assert all(map(store.load, promised)) and fine(store)


def saving_process(home: Path, first_seed: int) -> subprocess.Popen:
    command = [sys.executable, "-c", _SAVE, str(home), str(first_seed)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def read_some_then_kill(process: subprocess.Popen, lines: int, seconds: float) -> set[str]:
    """The keys printed until the process was killed, `seconds` after so many of them."""
    promised = [process.stdout.readline() for _ in range(lines)]
    timer = threading.Timer(seconds, process.send_signal, [signal.SIGKILL])
    timer.start()
    promised += process.stdout.read().splitlines(keepends=True)
    timer.join()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    return {line.strip() for line in promised if line.endswith("\n")}


def test_kill_9_at_random_moments_of_two_processes_loses_no_run_and_damages_no_file(tmp_path):
    dice = random.Random()
    promised: set[str] = set()
    for round_number in range(KILLS):
        both = [saving_process(tmp_path, (2 * round_number + each) * 100_000) for each in range(2)]
        for process in both:
            # A small number of lines, so that some kills meet a file that is still being made.
            promised |= read_some_then_kill(process, round_number % 3, dice.random() * 0.3)
        with closing(Store(tmp_path)) as store:
            found = {summary.key: summary.status for summary in store.list()}
            assert promised <= {key for key, status in found.items() if status == "finished"}
            assert set(found.values()) <= {"finished", "interrupted"}
            assert all(map(store.load, promised)) and fine(store)
        assert sql(store.path, "PRAGMA integrity_check") == [("ok",)]
    assert promised
