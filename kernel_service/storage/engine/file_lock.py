"""A lock file next to a SQLite database. It admits one process and refuses a second one."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path


LOCK_SUFFIX: Final = ".lock"


class DatabaseInUseError(RuntimeError):
    """Another process holds the database. The text names the file and the remedy."""


class FileLock:
    """Held from construction to `release`, or until the process ends in any way."""

    def __init__(self, database: Path) -> None:
        path = database.with_name(database.name + LOCK_SUFFIX)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise DatabaseInUseError(
                f"another process uses {database}; SQLite serves one process: stop it, or use PostgreSQL"
            ) from None

    def release(self) -> None:
        os.close(self._file)
