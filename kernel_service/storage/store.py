"""Open the store of a database URL: be the only one on it, migrate it, read its keys, start its writers."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from kernel_service.errors import StoreUnavailable
from kernel_service.media.opening import MIB
from kernel_service.storage import batch, postgres, sqlite
from kernel_service.storage.active_lock import LOST, ActiveLock
from kernel_service.storage.engine import Keyring
from kernel_service.storage.file_lock import FileLock
from kernel_service.storage.migrating import prepare
from kernel_service.storage.sql_store import SqlStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine as SqliteDatabase

    from kernel_service.storage.sealing import Digests, MasterKeys

logger = logging.getLogger(__name__)


async def open_store(
    url: str,
    master_keys: MasterKeys,
    *,
    media_bytes: int = 1024 * MIB,
    end_process: Callable[[str], None] = batch.end_process,
) -> SqlStore:
    """`sqlite:///path` or `postgresql://…`; on PostgreSQL this waits while another process is active.
    At most `media_bytes` of people's files are kept at a time.

    DatabaseInUseError, SchemaTooNewError, Conflict SEALING_KEY_UNKNOWN, StoreUnavailable, ValueError for another URL.
    """
    kind = url.partition("://")[0]
    if kind == "sqlite":
        return SqlStore(await _open_sqlite(url, master_keys, end_process), media_bytes)
    if kind in {"postgresql", "postgres"}:
        return SqlStore(await _open_postgres(url, master_keys, end_process), media_bytes)
    raise ValueError("the database URL must begin with sqlite:/// or postgresql://")


async def _open_sqlite(url: str, master_keys: MasterKeys, end_process: Callable[[str], None]) -> sqlite.SqliteEngine:
    path = Path(make_url(url).database or "")
    if not path.name:
        raise ValueError("the database URL names no file: expected sqlite:///path/to/kernel.db")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    database = sqlite.connect(path)
    try:
        digests = await asyncio.to_thread(_prepare_sqlite, database, master_keys)
    except BaseException:
        database.dispose()
        lock.release()
        raise
    return sqlite.SqliteEngine(database, lock, Keyring(master_keys), digests, end_process=end_process)


def _prepare_sqlite(database: SqliteDatabase, master_keys: MasterKeys) -> Digests:
    with database.connect() as connection:
        writer = connection.execution_options(immediate=True)
        with writer.begin():
            return prepare(writer, master_keys)


async def _open_postgres(
    url: str, master_keys: MasterKeys, end_process: Callable[[str], None]
) -> postgres.PostgresEngine:
    try:
        lock = await ActiveLock.take(url, end_process)
    except LOST as error:
        logger.error("storage: cannot connect to the database (%s)", type(error).__name__)  # noqa: TRY400
        raise StoreUnavailable from None
    try:
        digests = await _prepare_postgres(url, master_keys)
    except BaseException:
        await lock.release()
        raise
    return postgres.PostgresEngine(postgres.connect(url), lock, Keyring(master_keys), digests)


async def _prepare_postgres(url: str, master_keys: MasterKeys) -> Digests:
    # A migration may take its time, so not on the connections that hurry.
    database = create_async_engine(postgres.driver_url(url), poolclass=NullPool, hide_parameters=True)
    async with database.begin() as connection:
        return await connection.run_sync(prepare, master_keys)
