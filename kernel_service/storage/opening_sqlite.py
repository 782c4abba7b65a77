"""Open a SQLite file: be the only process on it, migrate it, read its keys, start its writer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url

from kernel_service.storage import sqlite
from kernel_service.storage.engine import Keyring
from kernel_service.storage.file_lock import FileLock
from kernel_service.storage.migrating import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine as SqliteDatabase

    from kernel_service.storage.sealing import Digests, MasterKeys


async def open_sqlite(url: str, master_keys: MasterKeys, end_process: Callable[[str], None]) -> sqlite.SqliteEngine:
    path = Path(make_url(url).database or "")
    if not path.name:
        raise ValueError("KERNEL_DATABASE_URL must name a file, as sqlite:///path/to/kernel.db")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    database = sqlite.connect(path)
    try:
        digests = await asyncio.to_thread(_prepare, database, master_keys)
    except BaseException:
        database.dispose()
        lock.release()
        raise
    return sqlite.SqliteEngine(database, lock, Keyring(master_keys), digests, end_process=end_process)


def _prepare(database: SqliteDatabase, master_keys: MasterKeys) -> Digests:
    with database.connect() as connection:
        writer = connection.execution_options(immediate=True)
        with writer.begin():
            digests = prepare(writer, master_keys)
    database.dispose()  # this connection would go on planning by the statistics that it found
    return digests
