"""Open a PostgreSQL database: be the active process on it, or wait for that; migrate it, read its keys."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from kernel_service.errors import StoreUnavailable
from kernel_service.storage import postgres
from kernel_service.storage.active_lock import LOST, ActiveLock
from kernel_service.storage.engine import Keyring
from kernel_service.storage.migrating import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.storage.sealing import Digests, MasterKeys

logger = logging.getLogger(__name__)


async def open_postgres(
    url: str, master_keys: MasterKeys, end_process: Callable[[str], None]
) -> postgres.PostgresEngine:
    try:
        lock = await ActiveLock.take(url, end_process)
    except LOST as error:
        logger.error("storage: cannot connect to the database (%s)", type(error).__name__)  # noqa: TRY400
        raise StoreUnavailable from None
    try:
        digests = await _prepare(url, master_keys)
    except BaseException:
        await lock.release()
        raise
    return postgres.PostgresEngine(postgres.connect(url), lock, Keyring(master_keys), digests)


async def _prepare(url: str, master_keys: MasterKeys) -> Digests:
    # A migration may take its time, so not on the connections that hurry.
    database = create_async_engine(postgres.driver_url(url), poolclass=NullPool, hide_parameters=True)
    async with database.begin() as connection:
        return await connection.run_sync(prepare, master_keys)
