"""PostgreSQL: a few writers that each commit in groups, a pool of readers, all on asyncpg.

Each batch records its number in `commit_mark`. If the answer to a COMMIT is lost, the batch runs again and finds out
whether it is committed already. If necessary it waits for the row lock of the lost transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from kernel_service.errors import StoreUnavailable
from kernel_service.storage.engine import batch, statistics
from kernel_service.storage.engine.batch import BATCH, Work
from kernel_service.storage.engine.engine import Tx
from kernel_service.storage.engine.outage_log import OutageLog
from kernel_service.storage.engine.postgres_server import LOST, why
from kernel_service.storage.engine.statements import Statements
from kernel_service.storage.schema.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

    from kernel_service.storage.engine.active_lock import ActiveLock
    from kernel_service.storage.engine.engine import Keyring, T
    from kernel_service.storage.engine.postgres_server import Server
    from kernel_service.storage.sealing.ciphers import Digests

logger = logging.getLogger(__name__)

WRITERS = 4
"""Connections of the pool for writers. Readers and `write_apart` use the others."""
APART = 2
"""Concurrent transactions with low priority (`write_apart`)."""
PATIENCE_SECONDS = 2.0
ANSWER_SECONDS = 3.0
_PAUSE_SECONDS = 0.1
AWAY = (SQLAlchemyError, *LOST)
# Classes of SQLSTATE for faults of the statement itself: no result, bad data, constraint, syntax.
_UNIT_FAILED = ("02", "21", "22", "23", "42")

_MARK = text(
    "INSERT INTO commit_mark (id, batch, at) VALUES (:id, :batch, :at) ON CONFLICT (id) DO UPDATE"
    " SET batch = excluded.batch, at = excluded.at WHERE commit_mark.batch <> excluded.batch"
)


def connect(server: Server, *, pool: int) -> AsyncEngine:
    """At most `pool` connections. No statement waits much longer than three seconds; errors hide the values."""
    return create_async_engine(
        "postgresql+asyncpg://",
        creator=_creator(server, settings={"lock_timeout": "2s"}, seconds=ANSWER_SECONDS),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=ANSWER_SECONDS,
        hide_parameters=True,
    )


def connect_once(server: Server) -> AsyncEngine:
    """A new connection for each use, without a statement timeout."""
    unhurried = {"statement_timeout": "0", "lock_timeout": "0"}
    creator = _creator(server, settings=unhurried)
    return create_async_engine("postgresql+asyncpg://", creator=creator, poolclass=NullPool, hide_parameters=True)


def _creator(server: Server, *, settings: dict[str, str], seconds: float | None = None) -> Callable[[], Any]:
    """Like SQLAlchemy's own creator for an `async_creator`, which cannot pass arguments to its adapter."""
    driver: Any = PGDialect_asyncpg.import_dbapi()  # type: ignore[no-untyped-call]
    # In another session a prepared statement is unknown, or is another client's statement.
    unnamed = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str} if server.multiplexed else {}

    async def connected() -> asyncpg.Connection:
        return await server.connect(settings=settings, seconds=seconds)

    return lambda: driver.connect(async_creator_fn=connected, **unnamed)


def _breaks_batch(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        return not (getattr(error.orig, "sqlstate", None) or "").startswith(_UNIT_FAILED)
    return isinstance(error, AWAY)


class PostgresEngine:
    """Fills `Engine`."""

    def __init__(self, database: AsyncEngine, lock: ActiveLock, keyring: Keyring, digests: Digests) -> None:
        self._database = database
        self.statements = Statements(database.dialect)
        self._lock = lock
        self._keyring = keyring
        self._digests = digests
        self._loop = asyncio.get_running_loop()
        self._queues: list[asyncio.Queue[Work | None]] = [asyncio.Queue() for _ in range(WRITERS)]
        self._reading, writing = OutageLog("read the database"), OutageLog("write to the database")
        self._writers = [
            asyncio.create_task(Writer(database, works, self._tx, writing).run(), name="store-writer")
            for works in self._queues
        ]
        self._apart = asyncio.Semaphore(APART)
        self._closed = False

    async def write(self, unit: Callable[[Tx], T], person_id: str = "") -> T:
        if self._closed:
            raise StoreUnavailable
        work = Work(unit, self._loop.create_future(), expires=self._loop.time() + PATIENCE_SECONDS)
        self._queues[zlib.crc32(person_id.encode()) % WRITERS].put_nowait(work)
        result: T = await work.future
        return result

    async def write_apart(self, unit: Callable[[Tx], T]) -> T:
        if self._closed:
            raise StoreUnavailable
        async with self._apart:
            return await self._run(unit)

    async def read(self, unit: Callable[[Tx], T]) -> T:
        # After a restart of the server every idle connection is dead. Each reader notices this when it uses one.
        return await self._run(unit, tries=2)

    async def _run(self, unit: Callable[[Tx], T], tries: int = 1) -> T:
        try:
            async with self._database.begin() as connection:
                result = await connection.run_sync(lambda sync: unit(self._tx(sync)))
        except AWAY as error:
            if not _breaks_batch(error):
                raise
            if tries > 1 and getattr(error, "connection_invalidated", False):
                return await self._run(unit, tries - 1)
            self._reading.met(why(error))
            raise StoreUnavailable from None
        self._reading.over()
        return result

    async def vacuum(self) -> str:
        await self.write_apart(statistics.renew)
        # VACUUM FULL locks whole tables. Without FULL the space is freed, but its contents are not overwritten.
        return "run VACUUM FULL on the tables message, reply, reply_part and dead_letter in a quiet hour"

    async def close(self) -> None:
        """Commit the queued units, then disconnect and let a standby take over."""
        if self._closed:
            return
        self._closed = True
        for works in self._queues:
            works.put_nowait(None)
        await asyncio.gather(*self._writers)
        await self._database.dispose()
        await self._lock.release()

    def _tx(self, connection: Connection) -> Tx:
        return Tx(connection, self.statements, self._keyring, self._digests)


class Writer:
    """Commits its queue's units, batch after batch. All units of one person are in the same queue."""

    def __init__(
        self,
        database: AsyncEngine,
        works: asyncio.Queue[Work | None],
        tx: Callable[[Connection], Tx],
        writing: OutageLog,
    ) -> None:
        self._database = database
        self._works = works
        self._tx = tx
        self._writing = writing
        self._loop = asyncio.get_running_loop()
        self._mark = new_id("w")
        self._batch = 0
        self._doubtful = False

    async def run(self) -> None:
        while (first := await self._works.get()) is not None:
            works = [first]
            while len(works) < BATCH and not self._works.empty():
                work = self._works.get_nowait()
                if work is None:
                    self._works.put_nowait(None)
                    break
                works.append(work)
            await self._commit([work for work in works if not work.future.cancelled()])

    async def _commit(self, works: list[Work]) -> None:
        """Retry until the batch is committed, or is certainly not committed and has expired."""
        self._batch += 1
        self._doubtful = False
        while True:
            late = [work for work in works if work.expires < self._loop.time()]
            if late and not self._doubtful:
                batch.refuse(late, StoreUnavailable)
                works = [work for work in works if work not in late]
            if not works:
                return
            try:
                await self._try(works)
            except AWAY as error:
                self._writing.met(why(error))
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception:
                logger.exception("storage: a batch failed permanently")
                batch.refuse(works, StoreUnavailable)
                return
            else:
                self._writing.over()
                batch.answer(works)
                return

    async def _try(self, works: list[Work]) -> None:
        async with self._database.connect() as connection:
            try:
                await connection.run_sync(self._transact, works)
            except AWAY:
                await connection.invalidate()
                raise

    def _transact(self, connection: Connection, works: list[Work]) -> None:
        with connection.begin():
            mark = {"id": self._mark, "batch": self._batch, "at": time.time()}
            if not connection.execute(_MARK, mark).rowcount:
                return
            # Not committed yet, and no other transaction can commit it now: we hold the lock of the mark's row.
            self._doubtful = False
            batch.run(self._tx(connection), works, _breaks_batch)
            self._doubtful = True
