"""PostgreSQL: a few writers that each commit in groups, a pool of readers, all on asyncpg."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kernel_service.errors import StoreUnavailable
from kernel_service.storage.engine import outage_log, postgres_connections, statistics
from kernel_service.storage.engine.batch import Work
from kernel_service.storage.engine.engine import Tx
from kernel_service.storage.engine.outage_log import OutageLog
from kernel_service.storage.engine.postgres_faults import AWAY, breaks_batch, contended, lost
from kernel_service.storage.engine.postgres_server import why
from kernel_service.storage.engine.postgres_writer import Writer
from kernel_service.storage.engine.statements import Statements
from serving.cancellation import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from kernel_service.ports.notices import NoticeTransport
    from kernel_service.storage.engine.engine import Keyring, T
    from kernel_service.storage.engine.gathering import Gathering
    from kernel_service.storage.engine.postgres_notices import PostgresNotices
    from kernel_service.storage.sealing.ciphers import Digests

WRITERS = 4
"""Connections of the pool for writers. Readers and `write_apart` use the others."""
APART = 2
"""Concurrent transactions with low priority (`write_apart`)."""
TRIES = 3
"""Attempts of a unit whose connection is lost. After a restart of the server every idle connection is closed.

The first attempt may detect the end of one, and the second the end of another. Then all that are as old are discarded.
"""


class PostgresEngine:
    """Fills `Engine`."""

    def __init__(
        self,
        database: AsyncEngine,
        keyring: Keyring,
        digests: Digests,
        end_process: Callable[[str], None],
        notices: PostgresNotices | None,
        *,
        multiplexed: bool = False,
    ) -> None:
        """`multiplexed`: see `Server`."""
        self.is_shared = True
        self.notices: NoticeTransport | None = notices
        self._notices = notices
        self.end_process = end_process
        self._database = database
        # The statements of a read each see what is committed by then, in a transaction or not. Without one, BEGIN and
        # COMMIT are saved. A pooler may prepare and run a statement in different sessions if no transaction keeps it.
        self._reads = database if multiplexed else database.execution_options(isolation_level="AUTOCOMMIT")
        self.statements = Statements(database.dialect)
        self.keyring = keyring
        self._digests = digests
        self._loop = asyncio.get_running_loop()
        self._reading, writing = OutageLog("read the database"), OutageLog("write to the database")
        self.outages = (self._reading, writing)
        settings = postgres_connections.MULTIPLEXED if multiplexed else ""
        self._writers = [Writer(database, self._tx, writing, settings) for _ in range(_writers_of(database))]
        self._apart = asyncio.Semaphore(APART)
        self._alone: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def write(self, unit: Callable[[Tx], T], person_id: str = "") -> T:
        if self._closed:
            raise StoreUnavailable
        future: asyncio.Future[T] = self._loop.create_future()
        self._writer_of(person_id).put(self._work(unit, future, person_id))
        return await future

    def write_behind(self, unit: Callable[[Tx], Any], person_id: str = "") -> None:
        if self._closed:
            raise StoreUnavailable
        self._writer_of(person_id).put_behind(self._work(unit, None, person_id))

    async def write_apart(self, unit: Callable[[Tx], T]) -> T:
        if self._closed:
            raise StoreUnavailable
        async with self._apart:
            return await self._run(self._database, unit)

    async def write_alone(self, unit: Callable[[Tx], T]) -> T:
        if self._closed:
            raise StoreUnavailable
        running = asyncio.create_task(self._run(self._database, unit), name="store-alone")
        self._alone.add(running)
        running.add_done_callback(self._ended)
        # A caller that gives up does not wait for the end of the transaction, which an unresponsive network may delay.
        return await asyncio.shield(running)

    def _ended(self, running: asyncio.Task[Any]) -> None:
        self._alone.discard(running)
        if not running.cancelled():
            running.exception()  # mark the exception as retrieved; a caller that still waits gets it from the shield

    async def read(self, unit: Callable[[Tx], T]) -> T:
        return await self._run(self._reads, unit)

    async def _run(self, database: AsyncEngine, unit: Callable[[Tx], T]) -> T:
        expires = self._loop.time() + postgres_connections.UNIT_SECONDS
        tries = TRIES
        while True:
            began, repeatable = outage_log.now(), False
            try:
                async with database.begin() as connection:
                    repeatable = True
                    result = await _run_on(connection, lambda sync: unit(self._tx(sync)))
                    repeatable = database is self._reads  # a COMMIT without an answer may have succeeded
            except AWAY as error:
                if contended(error) and self._loop.time() < expires:
                    continue
                if not (contended(error) or breaks_batch(error)):
                    raise
                tries -= 1
                if tries and repeatable and lost(error):
                    continue
                if not contended(error):  # the database answers, and another transaction holds the lock for too long
                    self._reading.failed(why(error), began)
                raise StoreUnavailable from None
            self._reading.succeeded()
            return result

    async def vacuum(self) -> str:
        await self.write_apart(statistics.renew)
        # VACUUM FULL locks whole tables. Without FULL the space is freed, but its contents are not overwritten.
        return "run VACUUM FULL on the tables message, reply, reply_part and dead_letter at a time of low load"

    async def close(self) -> None:
        """Commit the queued units, then disconnect."""
        if self._closed:
            return
        self._closed = True
        await asyncio.gather(self._end_alone(), *(writer.close() for writer in self._writers))
        with suppress(TimeoutError):  # each connection sends its end to the server, which may not respond
            async with asyncio.timeout(postgres_connections.CLOSE_SECONDS):
                await self._database.dispose()
        if self._notices is not None:
            await self._notices.close()

    async def _end_alone(self) -> None:
        if self._alone:
            await asyncio.wait(self._alone, timeout=postgres_connections.CLOSE_SECONDS)
            await cancel_and_wait(*self._alone)

    def _writer_of(self, person_id: str) -> Gathering:
        return self._writers[zlib.crc32(person_id.encode()) % len(self._writers)].gathering

    def _work(self, unit: Callable[[Tx], Any], future: asyncio.Future[Any] | None, key: str) -> Work:
        return Work(unit, future, self._loop.time() + postgres_connections.UNIT_SECONDS, key)

    def _tx(self, connection: Connection) -> Tx:
        return Tx(connection, self.statements, self.keyring, self._digests)


async def _run_on(connection: AsyncConnection, unit: Callable[[Connection], T]) -> T:
    """A connection with a fault other than the unit's is not used again: its prepared statements may be stale."""
    try:
        return await connection.run_sync(unit)
    except AWAY as error:
        if breaks_batch(error):
            await connection.invalidate()
        raise


def _writers_of(database: AsyncEngine) -> int:
    """At most half of the pool, since each writer keeps a connection; at least one."""
    pool: Any = database.pool
    size: int = pool.size()
    return min(WRITERS, max(1, size // 2))
