"""What the operating system knows: which processes still run, and which threads may wait.

Processes that share a folder each hold the lock of a file of their own there. The system lets go
of the lock when the process ends, however it ends.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import uuid
from pathlib import Path
from typing import IO

_NICE = 10  # about a tenth of the share of a thread that does not give way

_log = logging.getLogger(__name__)


def give_way() -> None:
    """Let this thread, and those that it starts, have only the time that others leave.

    For work that nobody waits for by the second, so that a moved slider never waits for it. On
    Linux; elsewhere a thread has no priority of its own.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


class ProcessLock:
    """The lock by which others see that this process runs; `name` is what it goes by."""

    def __init__(self, folder: Path) -> None:
        self.name = uuid.uuid4().hex
        self._folder = folder
        self._file: IO[bytes] | None = None

    def hold(self) -> None:
        """Take the lock, again if its file has gone, and tidy up after processes that died."""
        path = self._path(self.name)
        while self._file is None or not path.exists():  # others may tidy it up before it is locked
            self.release()
            self._file = path.open("wb")
            try:
                _lock(self._file, wait=True)
            except OSError as error:
                _log.warning("%s has no file locks: %r", self._folder, error)
        for other in self._folder.glob("process-*.lock"):
            self.is_alive(other.stem.removeprefix("process-"))

    def is_alive(self, name: str) -> bool:
        """Whether the process of this name still runs; where it does not, its file goes."""
        if name == self.name:
            return True
        path = self._path(name)
        try:
            with path.open("r+b") as file:
                if not _lock(file):
                    return True
                path.unlink()  # before the lock goes: its owner may be waiting for it
        except FileNotFoundError:
            pass
        except OSError as error:
            _log.warning("Cannot tell whether %s is held: %r", path, error)
        return False

    def release(self) -> None:
        """Count as ended from now on."""
        if self._file is not None:
            self._file.close()
            self._path(self.name).unlink(missing_ok=True)
            self._file = None

    def _path(self, name: str) -> Path:
        return self._folder / f"process-{name}.lock"


def _lock(file: IO[bytes], wait: bool = False) -> bool:
    """Lock the file, at once or after a wait for others to let go; whether that worked."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):  # PermissionError: Windows
        return False
    return True
