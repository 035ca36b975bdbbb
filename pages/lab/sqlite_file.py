"""What only SQLite knows: how its file is opened and checked, and why it refuses.

A write-ahead log lets readers read while somebody writes; with `synchronous=FULL` a commit is on
the disk when it returns.
"""

from __future__ import annotations

import errno
import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

APPLICATION_ID = 0x4E4F524D  # "NORM", in the header of every file of ours
SCHEMA_VERSION = 1
BUSY_SECONDS = 5.0  # how long to wait for another process that is writing
_MAX_LOG_BYTES = 32 * 2**20


class Unusable(Exception):
    """A file that is no store of ours, with the reason as the end of a sentence."""


def engine(path: Path, options: str = "") -> sa.Engine:
    """As many connections to the file as there are readers. options: those of SQLite's URIs."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.as_uri()}{options}",
            timeout=BUSY_SECONDS,
            isolation_level=None,  # SQLAlchemy begins transactions, below
            check_same_thread=False,
            uri=True,
        )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_MAX_LOG_BYTES}")
        return connection

    made = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool, max_overflow=-1)

    @sa.event.listens_for(made, "begin")
    def begin(connection: sa.Connection) -> None:
        # A writer takes its lock at once: one that has read first might come too late.
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return made


def transaction(on: sa.Engine, writing: bool) -> AbstractContextManager[sa.Connection]:
    """One transaction, committed at its end, or rolled back by an exception."""
    return on.execution_options(writing=writing).begin()


def open_checked(path: Path, tables: sa.MetaData) -> sa.Engine:
    """An engine on a sound file of ours, made if there is none; `Unusable` for any other."""
    opened = engine(path)
    try:
        with opened.connect() as connection:
            empty = _is_empty(connection)
            connection.rollback()
            connection.connection.execute("PRAGMA journal_mode = WAL")
        if empty:
            with transaction(opened, writing=True) as connection:
                tables.create_all(connection)  # those that another process has not just made
                connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        opened.dispose()
        raise
    return opened


def _is_empty(connection: sa.Connection) -> bool:
    """True for an empty file, False for a sound one of ours; `Unusable` for any other."""
    application, version = _header(connection)
    if application == 0 and _ask(connection, "SELECT count(*) FROM sqlite_schema") == 0:
        return True
    if application != APPLICATION_ID:
        raise Unusable("it belongs to another program")
    if version != SCHEMA_VERSION:
        raise Unusable(f"it is of version {version}, and this program reads {SCHEMA_VERSION}")
    for table in ("runs", "started"):
        if _ask(connection, f"PRAGMA quick_check('{table}')") != "ok":
            raise Unusable("it is damaged")
    return False


def is_ours(connection: sa.Connection) -> bool:
    """Whether the header of the file, damaged or not, is that of a store of this version."""
    return _header(connection) == (APPLICATION_ID, SCHEMA_VERSION)


def _header(connection: sa.Connection) -> tuple[int | str, int | str]:
    return _ask(connection, "PRAGMA application_id"), _ask(connection, "PRAGMA user_version")


def is_damage(error: Exception) -> bool:
    """Whether the file itself is at fault."""
    damage = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return isinstance(error, Unusable) or _code(error) in damage


def cause(error: Exception) -> str:
    """Why the disk refused, as the end of a sentence."""
    code, number = _code(error), getattr(error, "errno", None)
    if code == sqlite3.SQLITE_FULL or number in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program is holding the file"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) or isinstance(error, OSError):
        return "the folder cannot be written to"
    if isinstance(error, Unusable):
        return f"the file cannot be used because {error}"
    return f"the disk answers '{getattr(error, 'orig', error)}'"


def _ask(connection: sa.Connection, query: str) -> Any:
    return connection.exec_driver_sql(query).scalars().first()


def _code(error: Exception) -> int:
    return getattr(getattr(error, "orig", error), "sqlite_errorcode", 0) & 0xFF
