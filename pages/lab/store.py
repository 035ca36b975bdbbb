"""Runs kept on disk, in one database file that may be killed, copied, damaged or out of reach.

A saved run is one transaction, flushed to the disk: once `save` returns, neither a killed process
nor a power cut takes it back, and a half-written one is never seen. Readers have connections of
their own and never wait for a writer.
"""

from __future__ import annotations

import functools
import io
import json
import logging
import os
import threading
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, NoResultFound, OperationalError

from normlib.config import TrainConfig
from normlib.run import Run
from pages.lab import sqlite_file
from pages.lab.processes import ProcessLock

FILE_NAME = "runs.sqlite3"
MAX_BYTES = 2 * 2**30  # of the arrays of all runs; a lesson of thirty students takes half of it
UPLOADED = "uploaded data"  # the name of what `normlib.mnist.read_upload` reads
_FEW_BYTES = 100_000  # more than a run's predictions alone, less than any weights
_INTERRUPTED = "The server stopped before this training was over; it can be started again."
_UNREADABLE = (zlib.error, zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError, OSError)
_REFUSED = (DBAPIError, OSError, sqlite_file.Unusable)

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs; the columns of its table.

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

    @classmethod
    def of(cls, run: Run, key: str, changed: float) -> RunSummary:
        return cls(
            *(key, run.status, run.config, run.data_name, run.data_checksum, changed),
            message=run.message,
            steps=len(run.losses),
            epochs=len(run.epochs),
            train_loss=run.epochs[-1].train_loss if run.epochs else None,
            test_accuracy=run.test_accuracy,
            seconds=run.seconds,
        )

    def is_offered(self, checksum: str) -> bool:
        """Whether to offer it to somebody whose data have this checksum: uploads are private."""
        return self.data_name != UPLOADED or self.data_checksum == checksum


tables = sa.MetaData()


def _table(name: str, columns: Mapping[str, type[sa.types.TypeEngine]]) -> sa.Table:
    made = [
        sa.Column(column, kind, primary_key=column == "key") for column, kind in columns.items()
    ]
    return sa.Table(name, tables, *made)


# Summaries lie apart from the contents, so that lists never touch what is large.
_KINDS = {"int": sa.Integer, "float": sa.Double, "float | None": sa.Double}
_COLUMNS = {field.name: _KINDS.get(str(field.type), sa.Text) for field in fields(RunSummary)}
_runs = _table("runs", _COLUMNS)
sa.Index("runs_changed", _runs.c.changed)
_contents = _table("contents", {"key": sa.Text, "run": sa.LargeBinary, "arrays": sa.LargeBinary})
_SHARED = ("key", "config", "data_name", "data_checksum", "changed")
_started = _table("started", {name: _COLUMNS[name] for name in _SHARED} | {"owner": sa.Text})
# Written once: making a statement takes as long as asking it.
_WANTED = sa.bindparam("wanted", type_=sa.Text)
_RUN = sa.select(_runs).where(_runs.c.key == _WANTED)
_CONTENT = sa.select(_contents).where(_contents.c.key == _WANTED)
_UNFINISHED = sa.select(_started).where(_started.c.key.not_in(sa.select(_runs.c.key)))
_UNFINISHED_RUN = _UNFINISHED.where(_started.c.key == _WANTED)
_FORGET_STARTED = sa.delete(_started).where(_started.c.key == _WANTED)


def store_home(home: str | os.PathLike[str] | None = None) -> Path:
    """Where runs are kept: in `home`, else NORMLAB_HOME, else `.normlab`."""
    home = home or os.environ.get("NORMLAB_HOME") or ".normlab"
    return Path(os.path.expanduser(home)).absolute()


class Store:
    """The runs in `home`, else in the folder that NORMLAB_HOME names, else in `.normlab`.

    No method raises because of the disk.  `problem` is "" or a sentence that says why runs are not
    being kept, and it clears by itself once a write succeeds; `notice` is "" or a sentence on a
    file that had to be set aside.  Safe to use from many threads and processes.
    """

    def __init__(self, home: str | os.PathLike[str] | None = None) -> None:
        self.home = store_home(home)
        self.path = self.home / FILE_NAME
        self.problem = ""
        self.notice = ""
        self._writing = threading.RLock()
        self._opening = threading.RLock()  # taken while `_writing` is held, never the other way
        self._engine: sa.Engine | None = None
        self._read_only = False
        self._identity: tuple[int, int] | None = None
        self._process = ProcessLock(self.home)
        self.write(lambda connection: None)

    def save(self, run: Run, key: str | None = None) -> bool:
        """Keep `run`, in one transaction; False if the disk refused, and `problem` says why.

        A run that was stopped never replaces one that came to its end. Once the weights of all
        runs take more than MAX_BYTES, those of the oldest go; everything else of them stays.
        """
        key = run.key if key is None else key
        summary = {**vars(RunSummary.of(run, key, time.time())), "config": run.config.to_json()}
        text = zlib.compress(json.dumps(run.to_dict(), allow_nan=False).encode())
        content = {"key": key, "run": text, "arrays": _npz(run.arrays())}

        def write(connection: sa.Connection) -> None:
            old = connection.scalar(sa.select(_runs.c.status).where(_runs.c.key == key))
            if old is None or old == "stopped" or run.status != "stopped":
                _put(connection, _runs, summary)
                _put(connection, _contents, content)
                _make_room(connection)
            connection.execute(_FORGET_STARTED, {"wanted": key})

        return self.write(write)

    def load(self, key: str) -> Run | None:
        """The run with this key, or None where there is none that can be read."""
        wanted = {"wanted": key}
        row = self.attempt(lambda connection: connection.execute(_CONTENT, wanted).first(), None)
        if row is None:
            return None
        try:
            return _unpack(row.run, row.arrays)
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
        values = (key, config.to_json(), data_name, data_checksum, time.time(), self._process.name)
        row = dict(zip(_started.c.keys(), values, strict=True))
        return self.write(lambda connection: _put(connection, _started, row))

    def forget_started(self, key: str) -> bool:
        """Take back `mark_started`: the training ended without a run to keep."""
        return self.write(lambda connection: connection.execute(_FORGET_STARTED, {"wanted": key}))

    def list(self, limit: int | None = None, checksum: str | None = None) -> list[RunSummary]:
        """The newest `limit` runs (all, if None), newest first; interrupted ones among them.

        checksum: leave out those on uploaded data other than these.
        """
        newest = sa.select(_runs).order_by(_runs.c.changed.desc()).limit(limit)
        if checksum is not None:
            offered = (_runs.c.data_name != UPLOADED) | (_runs.c.data_checksum == checksum)
            newest = newest.where(offered)
        found = [
            one
            for one in self._summaries(newest, _UNFINISHED)
            if checksum is None or one.is_offered(checksum)
        ]
        return sorted(found, key=lambda one: -one.changed)[:limit]

    def summary(self, key: str) -> RunSummary | None:
        """The line that `list` has for this key, or None."""
        return next(self._summaries(_RUN, _UNFINISHED_RUN, wanted=key), None)

    def close(self) -> None:
        """Let go of the file; what this process had started counts as interrupted from now on."""
        with self._writing, self._opening:
            self._disconnect()
            self._process.release()

    def _summaries(self, ended: sa.Select, begun: sa.Select, **values: str) -> Iterator[RunSummary]:
        """The runs that `ended` selects, and what `begun` selects of those without a result."""

        def read(connection: sa.Connection) -> list[dict[str, Any]]:
            unfinished = [dict(row) for row in connection.execute(begun, values).mappings()]
            for row in unfinished:
                running = self._process.is_alive(row.pop("owner"))
                row["status"] = "running" if running else "interrupted"
                row["message"] = "" if running else _INTERRUPTED
            return unfinished + [dict(row) for row in connection.execute(ended, values).mappings()]

        rows: list[dict[str, Any]] = self.attempt(read, [])
        for row in rows:
            try:
                yield RunSummary(**row | {"config": _config(row["config"])})
            except (ValueError, TypeError) as error:  # a config from another version of normlib
                _log.warning("The stored run %s is of another version: %r", row["key"], error)

    # Reaching the file

    def write(self, work: Callable[[sa.Connection], object]) -> bool:
        """`work` in one transaction; whether the disk took it."""
        return self.attempt(lambda connection: (work(connection),), None, writing=True) is not None

    def attempt(
        self, work: Callable[[sa.Connection], _T], otherwise: _T, writing: bool = False
    ) -> _T:
        """`work` in one transaction; `otherwise` where the disk refuses, and `problem` says why.

        Damage that shows only now sets the file aside, and `work` has its second try on a new one.
        """
        engine = None
        with self._writing if writing else nullcontext():
            for second_try in (False, True):
                try:
                    engine = self._connect(writing)
                    with sqlite_file.transaction(engine, writing) as connection:
                        result = work(connection)
                    self.problem = "" if writing else self.problem
                    return result
                except _REFUSED as error:
                    damaged = sqlite_file.is_damage(error) and not second_try
                    if not (damaged and self._set_aside(engine, error)):
                        self._give_up(error)
                        break
        return otherwise

    def _give_up(self, error: Exception) -> None:
        self.problem = f"Runs are not being kept: {sqlite_file.cause(error)} ({self.path})."
        _log.warning("%s %r", self.problem, error)

    def _connect(self, writing: bool) -> sa.Engine:
        """The open engine; a new one where the file has been moved, deleted or freed since."""
        with self._opening:
            if self._identity != _identity(self.path) or (writing and self._read_only):
                self._disconnect()
            if self._engine is not None:
                return self._engine
            try:
                return self._open()
            except (OperationalError, OSError) as error:
                # A disk that cannot be written to may still hold earlier runs.
                if writing or not self.path.is_file():
                    raise
                self._give_up(error)
                # SQLite reads a log only beside files it may write, unless nobody else does.
                read_only = sqlite_file.engine(self.path, "?mode=ro&immutable=1")
                return self._opened(read_only, read_only=True)

    def _open(self) -> sa.Engine:
        self.home.mkdir(parents=True, exist_ok=True)
        self._process.hold()
        return self._opened(sqlite_file.open_checked(self.path, tables))

    def _opened(self, engine: sa.Engine, read_only: bool = False) -> sa.Engine:
        self._engine, self._read_only, self._identity = engine, read_only, _identity(self.path)
        return engine

    def _disconnect(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._engine = None

    def _set_aside(self, engine: sa.Engine | None, error: Exception) -> bool:
        """Give an unusable file a new name, keep what can be read of it, and begin a new one."""
        with self._writing, self._opening:
            if self._engine is not engine:  # another thread has done so
                return True
            self._disconnect()
            stamp = time.strftime("%Y%m%d-%H%M%S")
            aside = self.home / f"runs-set-aside-{stamp}-{uuid.uuid4().hex[:6]}.sqlite3"
            try:
                # The log goes first: without its file, SQLite would delete it.
                for suffix in ("-wal", "-shm", ""):
                    part = Path(f"{self.path}{suffix}")
                    if part.exists():
                        part.rename(f"{aside}{suffix}")
                kept = _rescue(aside, self._open())
            except _REFUSED as failure:
                _log.warning("%s could not be replaced: %r", self.path, failure)
                return False
        why = error if isinstance(error, sqlite_file.Unusable) else "it is damaged"
        self.notice = (
            f"The file of earlier runs could not be used because {why}; it is kept as {aside.name}"
            + (f", and {kept} of its runs could be read and are here." if kept else ".")
        )
        _log.warning("%s %r", self.notice, error)
        return True


def _rescue(aside: Path, engine: sa.Engine) -> int:
    """Copy every run that can still be read from a file set aside; how many there were."""
    kept = 0
    old = sqlite_file.engine(aside, "?mode=ro")
    try:
        with old.connect() as source:
            if not sqlite_file.is_ours(source):
                return 0
            for summary in source.execute(sa.select(_runs)).mappings():
                key = summary["key"]
                try:
                    content = source.execute(_CONTENT, {"wanted": key}).mappings().one()
                    _unpack(content["run"], content["arrays"])
                except (DBAPIError, NoResultFound, *_UNREADABLE) as error:
                    _log.warning("The run %s is lost with its file: %r", key, error)
                    continue
                with sqlite_file.transaction(engine, writing=True) as connection:
                    _put(connection, _runs, dict(summary))
                    _put(connection, _contents, dict(content))
                kept += 1
    except DBAPIError as error:
        _log.warning("Nothing more can be read from %s: %r", aside, error)
    finally:
        old.dispose()
    return kept


def _put(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert the row in place of the one that has its key."""
    connection.execute(sa.delete(table).where(table.c.key == row["key"]))
    connection.execute(sa.insert(table).values(row))


def _make_room(connection: sa.Connection) -> None:
    """Let the weights of the oldest runs go, as far as all arrays take more than MAX_BYTES."""
    size = sa.func.length(_contents.c.arrays)  # a database reads no blob for its length
    excess = (connection.scalar(sa.select(sa.func.sum(size))) or 0) - MAX_BYTES
    if excess <= 0:
        return
    oldest = sa.select(_contents.c.key, size).join(_runs, _runs.c.key == _contents.c.key)
    oldest = oldest.where(size > _FEW_BYTES).order_by(_runs.c.changed)
    for key, bytes_before in connection.execute(oldest).all():
        place = _contents.c.key == key
        try:
            arrays = _arrays(connection.scalar(sa.select(_contents.c.arrays).where(place)))
        except _UNREADABLE as error:
            _log.warning("The arrays of the run %s cannot be read: %r", key, error)
            arrays = {}
        kept = _npz({name: arrays[name] for name in ("predictions",) if name in arrays})
        connection.execute(sa.update(_contents).where(place).values(arrays=kept))
        excess -= bytes_before - len(kept or b"")
        if excess <= 0:
            return


def _unpack(text: bytes, packed: bytes | None) -> Run:
    return Run.from_dict(json.loads(zlib.decompress(text)), _arrays(packed))


def _npz(arrays: dict[str, np.ndarray]) -> bytes | None:
    # Not compressed: weights shrink by 8 %, which is not worth a second of a core per run.
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue() if arrays else None


def _arrays(packed: bytes | None) -> dict[str, np.ndarray]:
    if packed is None:
        return {}
    with np.load(io.BytesIO(packed), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


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
