"""Commits units on one connection to PostgreSQL, group after group."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any

from kernel_service.errors import StoreUnavailable
from kernel_service.storage.engine import batch, outage_log, postgres_connections
from kernel_service.storage.engine.batch import BATCH, Work
from kernel_service.storage.engine.gathering import Gathering
from kernel_service.storage.engine.postgres_faults import AWAY, lost
from kernel_service.storage.engine.postgres_server import why
from kernel_service.storage.engine.postgres_transactions import Mark, Transactions
from kernel_service.storage.schema.ids import new_id
from serving.cancellation import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.engine.outage_log import OutageLog

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.1


class Writer:
    """Commits the units that it is given, group after group. All units of one person are given to the same writer.

    Its connection is kept until an error.
    """

    def __init__(
        self, database: AsyncEngine, tx: Callable[[Connection], Tx], writing: OutageLog, settings: str = ""
    ) -> None:
        """`settings`: commands at the beginning of each transaction, if its session keeps none."""
        self._settings = settings
        self._works: asyncio.Queue[list[Work] | None] = asyncio.Queue()
        self.gathering = Gathering(self._works.put_nowait)
        self._database = database
        self._tx = tx
        self._writing = writing
        self._loop = asyncio.get_running_loop()
        self._connection: AsyncConnection | None = None
        self._mark = Mark(new_id("w"))
        self._fails = False
        self._renewed = -math.inf
        """Until then no unit is late."""
        self._task = asyncio.create_task(self._run(), name="store-writer")

    async def close(self) -> None:
        """Commit the units that were given if the server answers in time, then disconnect."""
        self.gathering.leave()
        self._works.put_nowait(None)
        await asyncio.wait({self._task}, timeout=postgres_connections.CLOSE_SECONDS)
        if not self._task.done():
            await cancel_and_wait(self._task)
            await self._disconnect()
        if self._connection is not None:
            await self._connection.close()

    async def _run(self) -> None:
        again: list[Work] = []
        while works := again or await self._works.get():
            while len(works) < BATCH and not self._works.empty():
                more = self._works.get_nowait()
                if more is None:
                    self._works.put_nowait(None)
                    break
                works += more
            again = await self._commit(works)

    async def _commit(self, works: list[Work]) -> list[Work]:
        """Retry until the batch is committed, or is certainly not committed and has expired.

        Returns the units to repeat in the next batch.
        """
        self._mark.batch += 1
        self._mark.doubtful = False
        while True:
            late = [work for work in works if max(work.expires, self._renewed) < self._loop.time()]
            if late and not self._mark.doubtful:
                batch.refuse(late, StoreUnavailable)
                works = [work for work in works if work not in late]
            if not works:
                return []
            began = outage_log.now()
            try:
                again = await self._try(works)
            except AWAY as error:
                self._fails = True
                self._writing.failed(why(error), began)
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception:
                logger.exception("storage: a batch failed permanently")
                batch.refuse(works, StoreUnavailable)
                return []
            else:
                self._fails = False
                self._writing.succeeded()
                batch.answer(work for work in works if not work.again)
                return again

    async def _try(self, works: list[Work]) -> list[Work]:
        connection = await self._connected()
        try:
            settings = self._settings_for(max(work.contentions for work in works))
            return await connection.run_sync(
                lambda sync: batch.commit(works, Transactions(sync, self._mark, self._tx, settings))
            )
        except AWAY as error:
            if lost(error) and not self._fails:
                self._renewed = self._loop.time() + postgres_connections.UNIT_SECONDS
            await self._disconnect()
            raise

    def _settings_for(self, contentions: int) -> str:
        if not contentions and not self._settings:
            return ""
        wait = min(postgres_connections.LOCK_MS << contentions, postgres_connections.LONGEST_LOCK_MS)
        return f"{self._settings}SET LOCAL lock_timeout = {wait}; "

    async def _connected(self) -> AsyncConnection:
        """The kept connection, or one of the pool, unless the server closed it meanwhile."""
        while self._connection is None or _is_closed(self._connection):
            await self._disconnect()
            connection = await self._database.connect()
            # The transaction's commands are ours: SQLAlchemy's adapter sends each alone.
            self._connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.invalidate()
            await connection.close()


def _is_closed(connection: AsyncConnection) -> bool:
    sync: Any = connection.sync_connection
    return bool(sync.invalidated or sync.connection.driver_connection.is_closed())
