"""Open a SQLite file: become its only process, migrate it, read its keys, start its writer."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from kernel_service.storage.engine.engine import Keyring
from kernel_service.storage.engine.file_lock import LOCK_SUFFIX, FileLock
from kernel_service.storage.engine.sqlite import SqliteEngine, connect
from kernel_service.storage.opening.migrating import prepare
from serving.private_files import close_file, close_folder, make_file, make_folder, why_unusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine as SqliteDatabase

    from kernel_service.storage.sealing.ciphers import Digests, MasterKeys


class DatabaseFileError(RuntimeError):
    """The file is damaged, no SQLite database, or cannot be used. The text gives the reason and the fix."""


async def open_sqlite(url: str, master_keys: MasterKeys, end_process: Callable[[str], None]) -> SqliteEngine:
    path = Path(make_url(url).database or "")
    if not path.name:
        raise ValueError("KERNEL_DATABASE_URL must name a file, as sqlite:///path/to/kernel.db")
    lock = _locked(path)
    database = connect(path)
    try:
        digests = await asyncio.to_thread(_prepare, database, master_keys)
    except (DBAPIError, sqlite3.Error) as error:
        database.dispose()
        lock.release()
        raise DatabaseFileError(_unprepared(path, error)) from None
    except BaseException:
        database.dispose()
        lock.release()
        raise
    return SqliteEngine(database, lock, Keyring(master_keys), digests, end_process=end_process)


def _locked(path: Path) -> FileLock:
    """The lock of the file, which exists then and is closed to others."""
    try:
        make_folder(path.parent)
        lock = FileLock(path)
        try:
            _close_to_others(path)
        except BaseException:
            lock.release()
            raise
    except OSError as problem:
        raise DatabaseFileError(f"{why_unusable(path, problem)} (KERNEL_DATABASE_URL)") from None
    return lock


def _unprepared(path: Path, error: DBAPIError | sqlite3.Error) -> str:
    original = error.orig if isinstance(error, DBAPIError) else error
    reason = getattr(original, "sqlite_errorname", type(original).__name__)
    if reason.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return f"{path} is damaged, or is no SQLite database ({reason}): restore a backup, see docs/how-to/backups.md"
    return f"{path} cannot be opened or migrated: {original} ({reason})"


def _close_to_others(path: Path) -> None:
    """SQLite creates its journals next to the target of a link, with the target's mode."""
    make_file(path)
    file = path.resolve()
    for folder in {path.parent, file.parent}:
        close_folder(folder)
    close_file(path.with_name(path.name + LOCK_SUFFIX))
    for suffix in ("", "-wal", "-shm", "-journal"):
        close_file(file.with_name(file.name + suffix))


def _prepare(database: SqliteDatabase, master_keys: MasterKeys) -> Digests:
    with database.connect() as connection:
        writer = connection.execution_options(immediate=True)
        with writer.begin():
            digests = prepare(writer, master_keys)
    database.dispose()  # this connection would still plan with the statistics that it found
    return digests
