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
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy

from normlib.config import TrainConfig
from normlib.run import EpochResult, Run
from pages.lab import store as store_module
from pages.lab.store import Store

ROOT = Path(__file__).parents[1]
KILLS = int(os.environ.get("NORMLAB_KILLS", "6"))


def make_run(seed: int = 0, status: str = "finished", arrays: bool = True, **changes) -> Run:
    draw = np.random.default_rng(seed)
    values = {
        "config": TrainConfig(seed=seed, epochs=2),
        "data_name": "drawn digits",
        "data_checksum": "c0ffee",
        "status": status,
        "message": "" if status == "finished" else "Stopped at step 4.",
        "losses": draw.random(20).tolist(),
        "epochs": [EpochResult(1, 0.01, 0.64, 0.9, 1.5), EpochResult(2, 0.005, 0.32, 0.95, 1.25)],
        "test_accuracy": 0.9375 if status == "finished" else None,
        "seconds": 2.75,
        "images_per_second": 4000.0,
        "recorded": {"step": [10, 20], "conv_input": [[-1.0, 0.0, 1.0], [-2.0, 0.5, 3.0]]},
        "versions": {"normlib": "1.0.0"},
    }
    if arrays:
        values["predictions"] = draw.integers(0, 10, 50).astype(np.uint8)
        values["weights"] = [{"conv/v": draw.random((5, 5, 1, 3)), "g": draw.random(3)}] * 2
    return Run(**(values | changes))


def assert_same(found: Run | None, run: Run) -> None:
    assert found is not None
    assert found.to_dict() == run.to_dict()
    assert found.arrays().keys() == run.arrays().keys()
    for name, array in run.arrays().items():
        assert found.arrays()[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays()[name], array)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "home")
    yield store
    store.close()


def raw(store: Store, query: str, *values: object):
    """What SQLite answers on the connection that the store uses when nobody else does."""
    connection = store._engine.raw_connection()
    try:
        return connection.cursor().execute(query, *values).fetchall()
    finally:
        connection.close()


def set_aside(home: Path) -> list[Path]:
    return sorted(home.glob("runs-set-aside-*.sqlite3"))


def python(code: str, *arguments: object, **options) -> subprocess.CompletedProcess:
    """Run code in a process of its own; its output is text."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


# A run as data


def test_a_run_survives_json_that_knows_no_infinities():
    run = make_run(losses=[2.0, float("inf"), float("nan"), -float("inf")], status="diverged")
    text = json.dumps(run.to_dict(), allow_nan=False)
    found = Run.from_dict(json.loads(text), run.arrays())
    assert_same(found, run)
    np.testing.assert_array_equal(found.losses, run.losses)


def test_numpy_numbers_become_plain_ones():
    run = make_run(test_accuracy=np.float32(0.5), recorded={"rows": [np.arange(2), np.int64(3)]})
    written = json.loads(json.dumps(run.to_dict(), allow_nan=False))
    assert written["test_accuracy"] == 0.5
    assert written["recorded"] == {"rows": [[0, 1], 3]}


def test_json_has_the_documented_names():
    assert list(make_run().to_dict()) == [
        *("config", "data", "status", "message", "losses", "epochs", "test_accuracy"),
        *("seconds", "images_per_second", "recorded", "versions"),
    ]


# Keeping


@pytest.mark.parametrize("status", ["finished", "stopped", "diverged"])
def test_a_run_comes_back_whole_after_a_restart(store, status):
    run = make_run(status=status)
    assert store.save(run)
    store.close()
    assert_same(store.load(run.key), run)
    assert (store.problem, store.notice) == ("", "")


def test_an_unknown_key_is_none(store):
    assert store.load("nothing") is None
    assert store.summary("nothing") is None
    assert store.list() == []


def test_lists_tell_what_the_runs_hold_newest_first(store):
    runs = [make_run(seed) for seed in range(3)]
    for run in runs:
        store.save(run)
    found = store.list()
    assert [summary.key for summary in found] == [run.key for run in reversed(runs)]
    assert [summary.key for summary in store.list(2)] == [runs[2].key, runs[1].key]
    newest = found[0]
    assert newest.config == runs[2].config
    assert (newest.steps, newest.epochs, newest.train_loss) == (20, 2, 0.32)
    assert (newest.test_accuracy, newest.status) == (0.9375, "finished")
    assert store.summary(runs[0].key) == found[-1]


def test_a_stopped_run_gives_way_to_a_finished_one_and_never_the_other_way(store):
    stopped, finished = make_run(status="stopped"), make_run()
    store.save(stopped)
    store.save(finished)
    assert_same(store.load(finished.key), finished)
    store.save(stopped)
    assert_same(store.load(finished.key), finished)


def test_weights_of_early_epochs_give_way_when_they_are_too_many(store, monkeypatch):
    weights = [{"v": np.full(1000, epoch, np.float64)} for epoch in range(4)]
    run = make_run(weights=weights)
    monkeypatch.setattr(store_module, "MAX_ARRAY_BYTES", 20_000)
    store.save(run)
    found = store.load(run.key)
    assert [list(epoch) for epoch in found.weights] == [[], [], ["v"], ["v"]]
    np.testing.assert_array_equal(found.weights[3]["v"], weights[3]["v"])
    np.testing.assert_array_equal(found.predictions, run.predictions)


def test_weights_of_the_oldest_runs_give_way_when_the_file_grows_too_large(store, monkeypatch):
    weights = [{"v": np.zeros(20_000)}]  # 160 kB
    runs = [make_run(seed, weights=weights) for seed in range(5)]
    monkeypatch.setattr(store_module, "MAX_BYTES", 500_000)
    for run in runs[:4]:
        assert store.save(run)
    unreadable = "UPDATE contents SET arrays = zeroblob(200000) WHERE key = ?"
    raw(store, unreadable, (runs[1].key,))
    assert store.save(runs[4])
    assert [bool(store.load(run.key).weights) for run in (runs[0], *runs[2:])] == [
        *(False, True, True, True)
    ]
    first = store.load(runs[0].key)
    assert first.losses == runs[0].losses
    np.testing.assert_array_equal(first.predictions, runs[0].predictions)
    assert len(store.list()) == 5
    assert store.load(runs[1].key).predictions is None  # what could not be read is gone, no more


def test_home_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for said, found in (("elsewhere", "elsewhere"), ("~/mine", "mine"), ("", ".normlab")):
        monkeypatch.setenv("NORMLAB_HOME", said)
        store = Store()
        assert store.path == tmp_path / found / "runs.sqlite3"
        store.close()
    assert not (tmp_path / "~").exists()


# What another version wrote: the tables, and how it put its rows there.
_PREVIOUS = (
    """CREATE TABLE runs (
        key TEXT PRIMARY KEY, status TEXT NOT NULL, config TEXT NOT NULL,
        data_name TEXT NOT NULL, data_checksum TEXT NOT NULL, changed REAL NOT NULL,
        message TEXT NOT NULL, steps INTEGER NOT NULL, epochs INTEGER NOT NULL,
        train_loss REAL, test_accuracy REAL, seconds REAL NOT NULL)""",
    "CREATE INDEX runs_changed ON runs (changed)",
    "CREATE TABLE contents (key TEXT PRIMARY KEY, run BLOB NOT NULL, arrays BLOB)",
    """CREATE TABLE started (
        key TEXT PRIMARY KEY, config TEXT NOT NULL, data_name TEXT NOT NULL,
        data_checksum TEXT NOT NULL, changed REAL NOT NULL, owner TEXT NOT NULL)""",
    "PRAGMA application_id = 0x4E4F524D",
    "PRAGMA user_version = 1",
)


def test_the_file_of_the_previous_version_goes_on(store, tmp_path):
    run, path = make_run(), tmp_path / "runs.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in _PREVIOUS:
        connection.execute(statement)
    packed = zlib.compress(json.dumps(run.to_dict()).encode())
    connection.execute("INSERT INTO contents VALUES (?, ?, NULL)", (run.key, packed))
    row = (run.key, "finished", run.config.to_json(), "drawn digits", "c0ffee", 1.0, "", 20, 2)
    connection.execute("INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?,0.32,0.9375,2.75)", row)
    connection.close()
    previous = Store(tmp_path)
    assert previous.load(run.key).to_dict() == run.to_dict()
    assert previous.summary(run.key).train_loss == 0.32
    assert previous.save(make_run(1))
    assert (len(previous.list()), previous.notice, previous.problem) == (2, "", "")
    for table in ("runs", "contents", "started"):
        names = [row[1] for row in raw(previous, f"PRAGMA table_info({table})")]
        assert names == [row[1] for row in raw(store, f"PRAGMA table_info({table})")]
    previous.close()


def statements(store: Store, do) -> list[str]:
    """What the store asks the database while it does that."""
    asked = []
    listener = (store._engine, "before_cursor_execute", lambda *about: asked.append(about[2]))
    sqlalchemy.event.listen(*listener)
    do()
    sqlalchemy.event.remove(*listener)
    return asked


def test_neither_a_save_nor_a_list_reads_what_other_runs_hold(store):
    for seed in range(3):
        store.save(make_run(seed))
    asked = statements(store, lambda: (store.list(), store.list(2), store.summary(make_run().key)))
    assert len(asked) == 9 and "contents" not in " ".join(asked)
    asked = [one for one in statements(store, lambda: store.save(make_run(3))) if "arrays" in one]
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
    assert [summary.key for summary in store.list()] == [kept.key]  # the other is not there yet
    go_on.set()
    writer.join()
    assert len(store.list()) == 2


def test_many_threads_share_one_store(store):
    runs = [make_run(seed) for seed in range(24)]

    def keep(some: list[Run]) -> None:
        for run in some:
            store.save(run)
            store.list(5)

    threads = [threading.Thread(target=keep, args=(runs[at::4],)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.problem == ""
    for run in runs:
        assert_same(store.load(run.key), run)


# Interrupted


def test_what_this_process_trains_is_running_until_it_is_saved(store):
    run = make_run()
    store.mark_started(run.key, run.config, run.data_name, run.data_checksum)
    assert store.summary(run.key).status == "running"
    store.save(run)
    assert [summary.status for summary in store.list()] == ["finished"]
    assert raw(store, "SELECT count(*) FROM started") == [(0,)]


def test_what_failed_leaves_no_trace(store):
    run = make_run()
    store.mark_started(run.key, run.config, run.data_name, run.data_checksum)
    store.forget_started(run.key)
    assert store.list() == []


def test_a_lock_file_that_goes_while_it_is_looked_at_is_no_trouble(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda folder, _: iter([folder / "process-gone.lock"]))
    store = Store(tmp_path)
    assert (store.save(make_run()), store.problem) == (True, "")
    store.close()


_START_AND_WAIT = """
import sys
from normlib.config import TrainConfig
from pages.lab.store import Store
store = Store(sys.argv[1])
store.mark_started("a key", TrainConfig(seed=7), "MNIST", "abc")
print("started", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_trained_is_interrupted_and_can_start_again(store):
    process = subprocess.Popen(
        [sys.executable, "-c", _START_AND_WAIT, str(store.home)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout.readline() == b"started\n"
        assert store.summary("a key").status == "running"
    finally:
        process.kill()
        process.communicate()
    summary = store.summary("a key")
    assert summary.status == "interrupted"
    assert summary.config == TrainConfig(seed=7)
    assert summary.message.endswith("it can be started again.")
    store.mark_started("a key", summary.config, "MNIST", "abc")
    assert [each.status for each in store.list()] == ["running"]


# Files that are no store


def foreign_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.commit()
    connection.close()


def another_application(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 1")
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()


def newer_schema(path: Path) -> None:
    Store(path.parent).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b"Dear diary, " * 1000), "it is damaged"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(5000)), "it is damaged"),
        (foreign_database, "it belongs to another program"),
        (another_application, "it belongs to another program"),
        (newer_schema, "it is of version 99"),
    ],
)
def test_a_file_that_is_no_store_is_set_aside_unharmed(tmp_path, spoil, reason):
    path = tmp_path / "runs.sqlite3"
    spoil(path)
    before = path.read_bytes()
    store = Store(tmp_path)
    (aside,) = set_aside(tmp_path)
    assert aside.read_bytes() == before
    assert reason in store.notice
    assert aside.name in store.notice
    assert store.problem == ""
    run = make_run()
    assert store.save(run)
    assert_same(store.load(run.key), run)
    store.close()


def test_an_empty_file_is_a_new_store(tmp_path):
    (tmp_path / "runs.sqlite3").touch()
    store = Store(tmp_path)
    assert store.save(make_run())
    assert (store.notice, set_aside(tmp_path)) == ("", [])
    store.close()


def filled(home: Path, number: int = 12) -> list[Run]:
    store = Store(home)
    runs = [
        make_run(seed, losses=np.random.default_rng(seed).random(2000).tolist())
        for seed in range(number)
    ]
    for run in runs:
        assert store.save(run)
    store.close()
    return runs


def test_a_truncated_file_is_set_aside_and_what_it_still_holds_is_carried_over(tmp_path):
    runs = filled(tmp_path)
    path = tmp_path / "runs.sqlite3"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)
    store = Store(tmp_path)
    assert len(set_aside(tmp_path)) == 1
    assert "damaged" in store.notice
    assert store.save(runs[0])
    for run in runs:
        found = store.load(run.key)
        assert found is None or found.to_dict() == run.to_dict()
    store.close()


@pytest.mark.parametrize("seed", range(8))
def test_garbage_anywhere_in_the_file_never_stops_the_store_or_changes_a_run(tmp_path, seed):
    runs = filled(tmp_path)
    path = tmp_path / "runs.sqlite3"
    dice = random.Random(seed)
    pages = path.stat().st_size // 4096
    with path.open("r+b") as file:
        for page in dice.sample(range(pages), 1 + seed % 3):
            file.seek(page * 4096)
            file.write(dice.randbytes(4096))
    spoiled = path.read_bytes()

    store = Store(tmp_path)
    listed = {summary.key for summary in store.list()}
    lost = 0
    for run in runs:
        found = store.load(run.key)
        if found is None:
            lost += 1
        else:
            assert_same(found, run)
    assert lost == 0 or store.notice
    new = make_run(99)
    assert store.save(new)
    assert_same(store.load(new.key), new)
    for run in runs:  # what was lost can be trained and kept again
        assert store.save(run)
        assert_same(store.load(run.key), run)
    assert store.problem == ""
    assert listed <= {run.key for run in runs}
    for aside in set_aside(tmp_path):
        # The newest pages may have been written before the damage was met: none is cut off.
        assert aside.stat().st_size >= len(spoiled) // 2
    store.close()


def test_one_damaged_page_costs_few_runs(tmp_path):
    runs = filled(tmp_path)
    path = tmp_path / "runs.sqlite3"
    with path.open("r+b") as file:  # a page of the last run's content
        file.seek((path.stat().st_size // 4096 - 2) * 4096)
        file.write(bytes(range(256)) * 16)
    store = Store(tmp_path)
    assert sum(store.load(run.key) is not None for run in runs) >= len(runs) - 1
    store.close()


def test_runs_are_carried_over_from_a_file_with_a_damaged_index(tmp_path):
    runs = filled(tmp_path)
    path = tmp_path / "runs.sqlite3"
    connection = sqlite3.connect(path)
    query = "SELECT rootpage FROM sqlite_schema WHERE name = 'runs_changed'"
    (page,) = connection.execute(query).fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(range(256)) * 16)
    store = Store(tmp_path)
    assert len(set_aside(tmp_path)) == 1
    assert store.notice.endswith("and 12 of its runs could be read and are here.")
    for run in runs:
        assert_same(store.load(run.key), run)
    store.close()


def test_a_file_in_use_elsewhere_is_set_aside_with_its_log(store):
    store.save(make_run())
    raw(store, "PRAGMA user_version = 99")
    second = Store(store.home)  # the first is still open, so its log is not folded in
    (aside,) = set_aside(store.home)
    connection = sqlite3.connect(aside)
    assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    connection.close()
    assert second.list() == []
    assert second.save(make_run(1))
    second.close()
    assert integrity(second.path) == "ok"


def test_a_deleted_or_replaced_folder_is_begun_anew_while_the_app_runs(store):
    store.save(make_run(1))
    store.path.rename(store.home / "moved.sqlite3")
    run = make_run(2)
    assert store.save(run)
    assert [summary.key for summary in store.list()] == [run.key]
    for path in store.home.iterdir():
        path.unlink()
    store.home.rmdir()
    assert store.save(run)
    assert_same(store.load(run.key), run)
    assert store.problem == ""


# Disks that refuse


def test_a_home_that_cannot_be_made_is_a_problem_and_no_more(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "home")
    assert store.problem.startswith("Runs are not being kept: the folder cannot be written to")
    run = make_run()
    assert not store.save(run)
    assert not store.mark_started(run.key, run.config, "MNIST", "abc")
    assert store.load(run.key) is None
    assert store.list() == []
    (tmp_path / "file").unlink()
    assert store.save(run)
    assert store.problem == ""
    store.close()


_READ_ONLY = """
import codecs, os, sys
from normlib.config import TrainConfig
from pages.lab.store import Store
if os.geteuid() == 0:  # root may write everywhere, nobody may not
    codecs.lookup("cp437")  # of zip files; nobody may not be able to import it later
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
        runs = filled(home, 3)
        before = {path.name: path.read_bytes() for path in home.iterdir()}
        (home / "runs.sqlite3").chmod(0o444)
        home.chmod(0o555)
        try:
            result = python(_READ_ONLY, home, runs[0].key)
        finally:
            home.chmod(0o755)
        assert {path.name: path.read_bytes() for path in home.iterdir()} == before
    assert result.returncode == 0, result.stderr
    problem, *answers = result.stdout.splitlines()
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
    assert store.save(refused)
    assert store.problem == ""
    assert_same(store.load(refused.key), refused)


_WRITE_UNTIL_REFUSED = """
import sys
sys.path.insert(0, "tests")
from test_store import make_run
from pages.lab.store import Store
store = Store(sys.argv[1])
for seed in range(1000):
    run = make_run(seed)
    if not store.save(run):
        break
    print(run.key)
print(store.problem)
"""


def test_writes_that_the_system_cuts_short_lose_nothing_that_was_kept(tmp_path):
    def at_most_200_kb() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    result = python(_WRITE_UNTIL_REFUSED, tmp_path, preexec_fn=at_most_200_kb)
    assert result.returncode == 0, result.stderr
    *keys, problem = result.stdout.splitlines()
    assert problem.startswith("Runs are not being kept: ")
    assert len(keys) > 3
    store = Store(tmp_path)
    assert {summary.key for summary in store.list()} == set(keys)
    assert all(store.load(key) is not None for key in keys)
    assert (store.problem, store.notice) == ("", "")
    store.close()


def test_a_file_held_by_another_program_is_a_problem_until_it_lets_go(store):
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    raw(store, "PRAGMA busy_timeout = 20")
    assert not store.save(make_run())
    assert "another program is holding the file" in store.problem
    other.execute("ROLLBACK")
    other.close()
    assert store.save(make_run())
    assert store.problem == ""


# Two processes, and kills

_SAVE_FOR_EVER = """
import itertools, sys
sys.path.insert(0, "tests")
from test_store import make_run
from pages.lab.store import Store
store = Store(sys.argv[1])
base = int(sys.argv[2])
for seed in itertools.count(base):
    run = make_run(seed)
    store.mark_started(run.key, run.config, run.data_name, run.data_checksum)
    if not store.save(run):
        sys.exit(store.problem)
    print(run.key, flush=True)
"""


def saving_process(home: Path, base: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _SAVE_FOR_EVER, str(home), str(base)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def read_some_then_kill(process: subprocess.Popen, lines: int, seconds: float) -> set[str]:
    """The keys printed until the process was killed, `seconds` after so many of them."""
    keys = [process.stdout.readline() for _ in range(lines)]
    timer = threading.Timer(seconds, process.send_signal, [signal.SIGKILL])
    timer.start()
    rest = process.stdout.read().splitlines(keepends=True)
    timer.join()
    process.wait()
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL
    return {line.strip() for line in (*keys, *rest) if line.endswith("\n")}


def integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return answer


def test_kill_9_at_random_moments_loses_no_run_and_damages_no_file(tmp_path):
    dice = random.Random()
    promised: set[str] = set()
    for round_number in range(KILLS):
        process = saving_process(tmp_path, 100_000 * round_number)
        # A small number of lines, so that some kills meet a file that is still being made.
        promised |= read_some_then_kill(process, round_number % 3, dice.random() * 0.3)
        store = Store(tmp_path)
        statuses = {summary.key: summary.status for summary in store.list()}
        assert promised <= {key for key, status in statuses.items() if status == "finished"}
        assert set(statuses.values()) <= {"finished", "interrupted"}
        assert all(store.load(key) is not None for key in promised)
        assert (store.problem, store.notice) == ("", "")
        store.close()
        assert integrity(store.path) == "ok"
    assert promised
    assert set_aside(tmp_path) == []


def test_two_processes_share_the_file(tmp_path):
    processes = [saving_process(tmp_path, base) for base in (0, 1_000_000)]
    promised = set()
    for process in processes:
        promised |= read_some_then_kill(process, 10, 0.0)
    store = Store(tmp_path)
    assert promised <= {summary.key for summary in store.list()}
    assert store.notice == ""
    store.close()
    assert integrity(store.path) == "ok"
