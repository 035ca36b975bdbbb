"""Which of the processes that share a folder still run: each holds the lock of a file of its own.

The operating system lets go of the lock when the process ends, however it ends.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO

_YOUNG_SECONDS = 60  # a younger file may not be locked yet

_log = logging.getLogger(__name__)


class ProcessLock:
    """The lock by which others see that this process runs; `name` is what it goes by."""

    def __init__(self, folder: Path) -> None:
        self.name = uuid.uuid4().hex
        self._folder = folder
        self._file: IO[bytes] | None = None

    def hold(self) -> None:
        """Take the lock, again if its file has gone, and tidy up after processes that died."""
        for path in self._folder.glob("process-*.lock"):
            with suppress(FileNotFoundError):  # others tidy up too
                if time.time() - path.stat().st_mtime > _YOUNG_SECONDS:
                    self.is_alive(path.stem.removeprefix("process-"))
        if self._file is None or not self._path(self.name).exists():
            self.release()
            self._file = self._path(self.name).open("wb")
            try:
                _try_lock(self._file)
            except OSError as error:
                _log.warning("%s has no file locks: %r", self._folder, error)

    def is_alive(self, name: str) -> bool:
        """Whether the process of this name still runs; where it does not, its file goes."""
        path = self._path(name)
        try:
            if name == self.name:
                return True
            with path.open("r+b") as file:
                if _try_lock(file):
                    path.unlink(missing_ok=True)
                    return False
                return True
        except FileNotFoundError:
            return False
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
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
