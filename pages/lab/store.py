"""Runs kept on disk, in one SQLite file that may be killed, copied, damaged or out of reach.

A saved run is one transaction in a write-ahead log with `synchronous=FULL`: once `save` returns,
neither a killed process nor a power cut takes it back, and a half-written one is never seen.
A run is written once per training, so the disk flush that this costs is of no account.
"""

from __future__ import annotations

import errno
import functools
import io
import json
import logging
import os
import sqlite3
import threading
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from normlib.config import TrainConfig
from normlib.run import Run

APPLICATION_ID = 0x4E4F524D  # "NORM", in the header of every file of ours
SCHEMA_VERSION = 1
FILE_NAME = "runs.sqlite3"
MAX_ARRAY_BYTES = 16 * 2**20  # of one run
MAX_BYTES = 2 * 2**30  # of the arrays of all runs; a lesson of thirty students takes half of it
_FEW_BYTES = 100_000  # more than a run's predictions alone, less than any weights
BUSY_SECONDS = 5.0  # how long to wait for another process that is writing

# Summaries lie apart from the contents, so that lists and the check at the start stay cheap.
_SCHEMA = (
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
)
_SUMMARY = (
    "key, status, config, data_name, data_checksum, changed, "
    "message, steps, epochs, train_loss, test_accuracy, seconds"
)

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs.

    status is that of a `Run`, or "interrupted" (its process died), or "running" (another process
    is at it).  changed is in seconds since 1970; train_loss is that of the last epoch.
    """

    key: str
    status: str
    config: TrainConfig
    data_name: str
    data_checksum: str
    changed: float
    message: str = ""
    steps: int = 0
    epochs: int = 0
    train_loss: float | None = None
    test_accuracy: float | None = None
    seconds: float = 0.0


class _Unusable(Exception):
    """A file that is no store of ours, with the reason as the end of a sentence."""


class Store:
    """The runs in `home`, else in the folder that NORMLAB_HOME names, else in `.normlab`.

    No method raises because of the disk.  `problem` is "" or a sentence that says why runs are not
    being kept, and it clears by itself once a write succeeds; `notice` is "" or a sentence on a
    file that had to be set aside.  Safe to use from many threads and processes.
    """

    def __init__(self, home: str | os.PathLike[str] | None = None) -> None:
        self.home = Path(home or os.environ.get("NORMLAB_HOME") or ".normlab").absolute()
        self.path = self.home / FILE_NAME
        self.problem = ""
        self.notice = ""
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._writable = False
        self._identity: tuple[int, int] | None = None
        self._owner = uuid.uuid4().hex
        self._alive: IO[bytes] | None = None
        self._attempt(lambda connection: None, None, writing=True)

    def save(self, run: Run, key: str | None = None) -> bool:
        """Keep `run`, in one transaction; False if the disk refused, and `problem` says why.

        A run that was stopped never replaces one that came to its end. Once the weights of all
        runs take more than MAX_BYTES, those of the oldest go; everything else of them stays.
        """
        key = run.key if key is None else key
        last = run.epochs[-1].train_loss if run.epochs else None
        summary = (
            *(key, run.status, run.config.to_json(), run.data_name, run.data_checksum),
            *(time.time(), run.message, len(run.losses), len(run.epochs)),
            *(last, run.test_accuracy, run.seconds),
        )
        text = json.dumps(run.to_dict(), allow_nan=False)
        content = (key, zlib.compress(text.encode()), _pack(run))

        def write(connection: sqlite3.Connection) -> bool:
            old = connection.execute("SELECT status FROM runs WHERE key = ?", (key,)).fetchone()
            if old is None or old[0] == "stopped" or run.status != "stopped":
                _insert(connection, summary, content)
                _make_room(connection)
            connection.execute("DELETE FROM started WHERE key = ?", (key,))
            return True

        return self._attempt(write, False, writing=True)

    def load(self, key: str) -> Run | None:
        """The run with this key, or None where there is none that can be read."""
        query = "SELECT run, arrays FROM contents WHERE key = ?"
        row = self._attempt(lambda connection: connection.execute(query, (key,)).fetchone(), None)
        if row is None:
            return None
        try:
            return _unpack(*row)
        except _UNREADABLE as error:
            _log.warning("The stored run %s cannot be read: %r", key, error)
            self.notice = (
                f"The stored run {key[:8]} could not be read, so it has to be trained again."
            )
            return None

    def mark_started(
        self, key: str, config: TrainConfig, data_name: str, data_checksum: str
    ) -> bool:
        """Note that this process trains `key` now, so that its death would leave a trace."""
        row = (key, config.to_json(), data_name, data_checksum, time.time(), self._owner)
        query = "INSERT OR REPLACE INTO started VALUES (?, ?, ?, ?, ?, ?)"

        def write(connection: sqlite3.Connection) -> bool:
            connection.execute(query, row)
            return True

        return self._attempt(write, False, writing=True)

    def forget_started(self, key: str) -> bool:
        """Take back `mark_started`: the training ended without a run to keep."""
        query = "DELETE FROM started WHERE key = ?"

        def write(connection: sqlite3.Connection) -> bool:
            connection.execute(query, (key,))
            return True

        return self._attempt(write, False, writing=True)

    def list(self, limit: int | None = None) -> list[RunSummary]:
        """The newest `limit` runs (all, if None), newest first; interrupted ones among them."""
        number = -1 if limit is None else limit

        def read(connection: sqlite3.Connection) -> list[tuple]:
            query = f"SELECT {_SUMMARY} FROM runs ORDER BY changed DESC LIMIT ?"
            return self._read_started(connection) + connection.execute(query, (number,)).fetchall()

        summaries = sorted(_summaries(self._attempt(read, [])), key=lambda each: -each.changed)
        return summaries if limit is None else summaries[:limit]

    def summary(self, key: str) -> RunSummary | None:
        """The line that `list` has for this key, or None."""

        def read(connection: sqlite3.Connection) -> list[tuple]:
            query = f"SELECT {_SUMMARY} FROM runs WHERE key = ?"
            return connection.execute(query, (key,)).fetchall() or self._read_started(
                connection, key
            )

        return next(iter(_summaries(self._attempt(read, []))), None)

    def close(self) -> None:
        """Let go of the file; what this process had started counts as interrupted from now on."""
        with self._lock:
            self._disconnect()
            if self._alive is not None:
                self._alive.close()
                Path(self._alive.name).unlink(missing_ok=True)
                self._alive = None

    # Reaching the file

    def _attempt(
        self, work: Callable[[sqlite3.Connection], _T], otherwise: _T, writing: bool = False
    ) -> _T:
        """`work` in one transaction; `otherwise` where the disk refuses, and `problem` says why.

        Damage that shows only now sets the file aside, and `work` has its second try on a new one.
        """
        with self._lock:
            for second_try in (False, True):
                try:
                    connection = self._connect(writing)
                    connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
                    result = work(connection)
                    connection.execute("COMMIT")
                except (sqlite3.Error, OSError, _Unusable) as error:
                    if _is_damage(error) and not second_try and self._set_aside(error):
                        continue
                    self._give_up(error)
                    return otherwise
                except BaseException:  # a fault of ours must not leave a transaction open
                    self._roll_back()
                    raise
                if writing:
                    self.problem = ""
                return result
        raise AssertionError("unreachable")

    def _give_up(self, error: Exception) -> None:
        self._roll_back()
        self.problem = f"Runs are not being kept: {_why(error)} ({self.path})."
        _log.warning("%s %r", self.problem, error)

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.rollback()

    def _connect(self, writing: bool) -> sqlite3.Connection:
        """The open connection; a new one where the file has been moved, deleted or freed since."""
        moved = self._connection is not None and self._identity != _identity(self.path)
        if moved or (writing and not self._writable):
            self._disconnect()
        if self._connection is not None:
            return self._connection
        try:
            self._connection = self._open()
            self._writable = True
        except (sqlite3.OperationalError, OSError) as error:
            # A disk that cannot be written to may still hold earlier runs.
            self._writable = False
            if writing or not self.path.is_file():
                raise
            self._connection = self._open_read_only()
            self._give_up(error)
        self._identity = _identity(self.path)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _open(self) -> sqlite3.Connection:
        self.home.mkdir(parents=True, exist_ok=True)
        connection = _connection(str(self.path))
        try:
            fresh = _check(connection)
            # A kill or a power cut costs nothing that was committed.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {MAX_ARRAY_BYTES}")
            if fresh:
                _create(connection)
            self._show_alive()
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_read_only(self) -> sqlite3.Connection:
        # SQLite reads a write-ahead log only beside files it may write, unless nobody else does.
        connection = _connection(f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            if _check(connection):
                raise _Unusable("it is empty")
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self, error: Exception) -> bool:
        """Give an unusable file a new name, keep what can be read of it, and begin a new one."""
        self._disconnect()
        stamp = time.strftime("%Y%m%d-%H%M%S")
        aside = self.home / f"runs-set-aside-{stamp}-{uuid.uuid4().hex[:6]}.sqlite3"
        try:
            # The log goes first: without its file, SQLite would delete it.
            for suffix in ("-wal", "-shm", ""):
                part = Path(f"{self.path}{suffix}")
                if part.exists():
                    part.rename(f"{aside}{suffix}")
            self._connection = self._open()
            self._writable = True
            self._identity = _identity(self.path)
            kept = _rescue(aside, self._connection)
        except (sqlite3.Error, OSError, _Unusable) as failure:
            _log.warning("%s could not be replaced: %r", self.path, failure)
            return False
        why = str(error) if isinstance(error, _Unusable) else "it is damaged"
        self.notice = (
            f"The file of earlier runs could not be used because {why}; it is kept as {aside.name}"
            + (f", and {kept} of its runs could be read and are here." if kept else ".")
        )
        _log.warning("%s %r", self.notice, error)
        return True

    # Who is still alive

    def _show_alive(self) -> None:
        """Hold a lock that the system lets go when this process ends, however it ends."""
        for path in self.home.glob("process-*.lock"):
            if time.time() - path.stat().st_mtime > 60:  # a younger one may not be locked yet
                self._is_alive(path.stem.removeprefix("process-"))
        if self._alive is not None and not Path(self._alive.name).exists():
            self._alive.close()
            self._alive = None
        if self._alive is None:
            self._alive = (self.home / f"process-{self._owner}.lock").open("wb")
            try:
                _try_lock(self._alive)
            except OSError as error:
                _log.warning("%s has no file locks: %r", self.home, error)

    def _is_alive(self, owner: str) -> bool:
        """Whether the process that calls itself `owner` still runs; tidies up after a dead one."""
        if owner == self._owner:
            return True
        path = self.home / f"process-{owner}.lock"
        try:
            with path.open("r+b") as file:
                if not _try_lock(file):
                    return True
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            return False
        except OSError as error:
            _log.warning("Cannot tell whether %s is alive: %r", path, error)
        return False

    def _read_started(self, connection: sqlite3.Connection, key: str | None = None) -> list[tuple]:
        """Rows like those of `_SUMMARY` for what was started and has no result yet."""
        query = (
            "SELECT key, config, data_name, data_checksum, changed, owner FROM started "
            "WHERE key NOT IN (SELECT key FROM runs) AND (?1 IS NULL OR key = ?1)"
        )
        rows = connection.execute(query, (key,)).fetchall()
        alive = {owner: self._is_alive(owner) for owner in {row[-1] for row in rows}}
        return [
            (row[0], "running", *row[1:5], "", 0, 0, None, None, 0.0)
            if alive[row[-1]]
            else (row[0], "interrupted", *row[1:5], _INTERRUPTED, 0, 0, None, None, 0.0)
            for row in rows
        ]


_INTERRUPTED = "The server stopped before this training was over; it can be started again."
_UNREADABLE = (zlib.error, zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError, OSError)


def _connection(database: str, uri: bool = False) -> sqlite3.Connection:
    # One connection for all threads, under the store's own lock; transactions are explicit.
    return sqlite3.connect(
        database, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=uri
    )


def _check(connection: sqlite3.Connection) -> bool:
    """True for an empty file, False for a sound one of ours; `_Unusable` for anything else."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application == 0 and tables == 0:
        return True
    if application != APPLICATION_ID:
        raise _Unusable("it belongs to another program")
    if version != SCHEMA_VERSION:
        raise _Unusable(f"it is of version {version}, and this program reads {SCHEMA_VERSION}")
    for table in ("runs", "started"):
        (result,) = connection.execute(f"PRAGMA quick_check('{table}')").fetchone()
        if result != "ok":
            raise _Unusable("it is damaged")
    return False


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if _check(connection):  # another process may have been faster
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _insert(connection: sqlite3.Connection, summary: tuple, content: tuple) -> None:
    places = ", ".join("?" * len(summary))
    connection.execute(f"INSERT OR REPLACE INTO runs ({_SUMMARY}) VALUES ({places})", summary)
    connection.execute("INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", content)


def _make_room(connection: sqlite3.Connection) -> None:
    """Let the weights of the oldest runs go, as far as all arrays take more than MAX_BYTES."""
    over = connection.execute(
        """SELECT key FROM (
            SELECT key, LENGTH(arrays) AS size,
                SUM(LENGTH(arrays)) OVER (ORDER BY changed DESC, key) AS so_far
            FROM contents JOIN runs USING (key))
        WHERE so_far > ? AND size > ?""",
        (MAX_BYTES, _FEW_BYTES),
    ).fetchall()
    for (key,) in over:
        query = "SELECT arrays FROM contents WHERE key = ?"
        row = connection.execute(query, (key,)).fetchone()
        try:
            kept = {name: array for name, array in _arrays(*row).items() if name == "predictions"}
        except _UNREADABLE as error:
            _log.warning("The arrays of the run %s cannot be read: %r", key, error)
            kept = {}
        update = "UPDATE contents SET arrays = ? WHERE key = ?"
        connection.execute(update, (_npz(kept), key))


def _rescue(aside: Path, connection: sqlite3.Connection) -> int:
    """Copy every run that can still be read from a file set aside; how many there were."""
    kept = 0
    old = _connection(f"{aside.as_uri()}?mode=ro", uri=True)
    try:
        (application,) = old.execute("PRAGMA application_id").fetchone()
        (version,) = old.execute("PRAGMA user_version").fetchone()
        if (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
            return 0
        for summary in old.execute(f"SELECT {_SUMMARY} FROM runs"):
            try:
                query = "SELECT key, run, arrays FROM contents WHERE key = ?"
                content = old.execute(query, summary[:1]).fetchone()
                _unpack(*content[1:])
            except (sqlite3.Error, *_UNREADABLE) as error:
                _log.warning("The run %s is lost with its file: %r", summary[0], error)
                continue
            connection.execute("BEGIN IMMEDIATE")
            _insert(connection, summary, content)
            connection.execute("COMMIT")
            kept += 1
    except sqlite3.DatabaseError as error:
        _log.warning("Nothing more can be read from %s: %r", aside, error)
        if connection.in_transaction:
            connection.rollback()
    finally:
        old.close()
    return kept


def _pack(run: Run) -> bytes | None:
    """The arrays as an npz; if there are too many, the weights of early epochs go.

    Not compressed: weights shrink by 8 %, which is not worth a second of a core per run.
    """
    kept: dict[str, np.ndarray] = {}
    room = MAX_ARRAY_BYTES
    named = run.arrays()
    groups = [["predictions"] if "predictions" in named else []]
    for index in reversed(range(len(run.weights))):
        groups.append([name for name in named if name.startswith(f"weights/{index}/")])
    for group in groups:
        room -= sum(named[name].nbytes for name in group)
        if room < 0:
            break
        kept |= {name: named[name] for name in group}
    return _npz(kept)


def _unpack(text: bytes, packed: bytes | None) -> Run:
    return Run.from_dict(json.loads(zlib.decompress(text)), _arrays(packed))


def _npz(arrays: dict[str, np.ndarray]) -> bytes | None:
    if not arrays:
        return None
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _arrays(packed: bytes | None) -> dict[str, np.ndarray]:
    if packed is None:
        return {}
    with np.load(io.BytesIO(packed), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _summaries(rows: Iterable[tuple]) -> list[RunSummary]:
    summaries = []
    for key, status, config, *rest in rows:
        try:
            summaries.append(RunSummary(key, status, _config(config), *rest))
        except (ValueError, TypeError) as error:  # a config from another version of normlib
            _log.warning("The stored run %s has a config of another version: %r", key, error)
    return summaries


@functools.lru_cache(maxsize=1024)
def _config(text: str) -> TrainConfig:
    # Lists are read on every redraw of every page, and a config takes a while to check itself.
    return TrainConfig.from_json(text)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, _Unusable) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _why(error: Exception) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    number = getattr(error, "errno", None)
    if code == sqlite3.SQLITE_FULL or number in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program is holding the file"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) or isinstance(error, OSError):
        return "the folder cannot be written to"
    if isinstance(error, _Unusable):
        return f"the file cannot be used because {error}"
    return f"the disk answers '{error}'"


try:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

except ImportError:  # Windows
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
