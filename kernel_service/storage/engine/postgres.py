"""PostgreSQL: a few writers that each commit in groups, a pool of readers, all on asyncpg.

Each batch records its number in `commit_mark`. If the answer to a COMMIT is lost, the batch runs again and finds out
whether it is committed already. If necessary it waits for the row lock of the lost transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from kernel_service.errors import StoreUnavailable
from kernel_service.storage.engine import batch, statistics
from kernel_service.storage.engine.batch import BATCH, Work
from kernel_service.storage.engine.engine import Tx
from kernel_service.storage.engine.gathering import Gathering
from kernel_service.storage.engine.outage_log import OutageLog
from kernel_service.storage.engine.postgres_server import LOST, why
from kernel_service.storage.engine.statements import Statements
from kernel_service.storage.schema.ids import new_id
from serving.cancellation import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from kernel_service.ports.notices import NoticeTransport
    from kernel_service.storage.engine.engine import Keyring, T
    from kernel_service.storage.engine.postgres_notices import PostgresNotices
    from kernel_service.storage.engine.postgres_server import Server
    from kernel_service.storage.sealing.ciphers import Digests

logger = logging.getLogger(__name__)

WRITERS = 4
"""Connections of the pool for writers. Readers and `write_apart` use the others."""
APART = 2
"""Concurrent transactions with low priority (`write_apart`)."""
PREPARED = 200
"""Prepared statements of a connection: more than are in frequent use, with the common lengths of their lists."""
PATIENCE_SECONDS = 2.0
ANSWER_SECONDS = 3.0
CLOSE_SECONDS = 5.0
"""How long a store that closes waits for the last commits, and then for the server to let its connections go.

Without an answer the callers of the commits never learn the outcome.
"""
_PAUSE_SECONDS = 0.1
AWAY = (SQLAlchemyError, *LOST)
# Classes of SQLSTATE for faults of the statement itself: no result, bad data, constraint, syntax.
_UNIT_FAILED = ("02", "21", "22", "23", "42")
# Serialization failure, deadlock, a lock that was not granted in time.
_CONTENDED = ("40001", "40P01", "55P03")
LOCK_MS, LONGEST_LOCK_MS = 100, 1000
"""How long a unit waits for a lock that another transaction holds: doubled each time, up to the longest.

A deadlock so delays others for far less than the server's deadlock_timeout of a second.
"""
_FROZEN = "2s"
"""A process that is frozen in a transaction keeps its locks no longer."""
_SETTINGS = {
    "lock_timeout": f"{LOCK_MS}ms",
    "idle_in_transaction_session_timeout": _FROZEN,
    # A commit is on disk, and each statement sees what is committed by then, also with other defaults of the server.
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
}
_MULTIPLEXED = (
    f"SET LOCAL idle_in_transaction_session_timeout = '{_FROZEN}'; SET LOCAL synchronous_commit = on;"
    " SET TRANSACTION ISOLATION LEVEL READ COMMITTED; "
)
"""The same for one transaction, if its session keeps no settings."""

# In one round trip. The values are numbers and an id of ours.
_BEGIN = (
    "BEGIN; {settings}INSERT INTO commit_mark (id, batch, at) VALUES ('{id}', {batch}, {at}) ON CONFLICT (id) DO UPDATE"
    " SET batch = excluded.batch, at = excluded.at WHERE commit_mark.batch <> excluded.batch"
)
_ONE_ROW = "INSERT 0 1"


def connect(server: Server, *, pool: int) -> AsyncEngine:
    """At most `pool` connections. No statement waits much longer than three seconds; errors hide the values."""
    return create_async_engine(
        "postgresql+asyncpg://",
        creator=_creator(server, settings=_SETTINGS, seconds=ANSWER_SECONDS),
        pool_size=pool,
        max_overflow=0,
        pool_use_lifo=True,  # the connection used last has prepared the statements
        pool_timeout=ANSWER_SECONDS,
        hide_parameters=True,
    )


def connect_once(server: Server) -> AsyncEngine:
    """A new connection for each use."""
    creator = _creator(server)
    return create_async_engine("postgresql+asyncpg://", creator=creator, poolclass=NullPool, hide_parameters=True)


def _creator(
    server: Server, *, settings: dict[str, str] | None = None, seconds: float | None = None
) -> Callable[[], Any]:
    """Like SQLAlchemy's own creator for an `async_creator`, which cannot pass arguments to its adapter."""
    driver: Any = PGDialect_asyncpg.import_dbapi()  # type: ignore[no-untyped-call]
    # In another session a prepared statement is unknown, or is another client's statement.
    prepared: dict[str, Any] = {"prepared_statement_cache_size": 0 if server.multiplexed else PREPARED}
    if server.multiplexed:
        prepared["prepared_statement_name_func"] = str  # unnamed

    async def connected() -> asyncpg.Connection:
        return await server.connect(settings=settings, seconds=seconds)

    return lambda: driver.connect(async_creator_fn=connected, **prepared)


def _breaks_batch(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        return not _sqlstate(error).startswith((*_UNIT_FAILED, *_CONTENDED))
    return isinstance(error, AWAY)


def contended(error: Exception) -> bool:
    """See `batch.Database`."""
    return isinstance(error, DBAPIError) and _sqlstate(error) in _CONTENDED


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


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
        settings = _MULTIPLEXED if multiplexed else ""
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
        # A caller that gives up does not wait for the end of the transaction, which a silent network may delay.
        return await asyncio.shield(running)

    def _ended(self, running: asyncio.Task[Any]) -> None:
        self._alone.discard(running)
        if not running.cancelled():
            running.exception()  # the caller, if it is still there, has it too

    async def read(self, unit: Callable[[Tx], T]) -> T:
        # After a restart of the server every idle connection is dead. Each reader notices this when it uses one.
        return await self._run(self._reads, unit, tries=2)

    async def _run(self, database: AsyncEngine, unit: Callable[[Tx], T], tries: int = 1) -> T:
        expires = self._loop.time() + PATIENCE_SECONDS
        while True:
            try:
                async with database.begin() as connection:
                    result = await _run_on(connection, lambda sync: unit(self._tx(sync)))
            except AWAY as error:
                if contended(error) and self._loop.time() < expires:
                    continue
                if not (contended(error) or _breaks_batch(error)):
                    raise
                if tries > 1 and getattr(error, "connection_invalidated", False):
                    tries -= 1
                    continue
                self._reading.met(why(error))
                raise StoreUnavailable from None
            self._reading.over()
            return result

    async def vacuum(self) -> str:
        await self.write_apart(statistics.renew)
        # VACUUM FULL locks whole tables. Without FULL the space is freed, but its contents are not overwritten.
        return "run VACUUM FULL on the tables message, reply, reply_part and dead_letter in a quiet hour"

    async def close(self) -> None:
        """Commit the queued units, then disconnect."""
        if self._closed:
            return
        self._closed = True
        await asyncio.gather(self._end_alone(), *(writer.close() for writer in self._writers))
        with suppress(TimeoutError):  # each connection takes leave of the server, which may be silent
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._database.dispose()
        if self._notices is not None:
            await self._notices.close()

    async def _end_alone(self) -> None:
        if self._alone:
            await asyncio.wait(self._alone, timeout=CLOSE_SECONDS)
            await cancel_and_wait(*self._alone)

    def _writer_of(self, person_id: str) -> Gathering:
        return self._writers[zlib.crc32(person_id.encode()) % len(self._writers)].gathering

    def _work(self, unit: Callable[[Tx], Any], future: asyncio.Future[Any] | None, key: str) -> Work:
        return Work(unit, future, self._loop.time() + PATIENCE_SECONDS, key)

    def _tx(self, connection: Connection) -> Tx:
        return Tx(connection, self.statements, self.keyring, self._digests)


async def _run_on(connection: AsyncConnection, unit: Callable[[Connection], T]) -> T:
    """A connection that met a fault other than the unit's is not used again: its prepared statements may be stale."""
    try:
        return await connection.run_sync(unit)
    except AWAY as error:
        if _breaks_batch(error):
            await connection.invalidate()
        raise


def _writers_of(database: AsyncEngine) -> int:
    """Each keeps one connection of the pool. As many are left to the others, or at least one."""
    pool: Any = database.pool
    size: int = pool.size()
    return min(WRITERS, max(1, size // 2))


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
        self._mark = _Mark(new_id("w"))
        self._task = asyncio.create_task(self._run(), name="store-writer")

    async def close(self) -> None:
        """Commit the units that were given if the server answers in time, then disconnect."""
        self.gathering.leave()
        self._works.put_nowait(None)
        await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
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
            again = await self._commit([work for work in works if work.wanted])

    async def _commit(self, works: list[Work]) -> list[Work]:
        """Retry until the batch is committed, or is certainly not committed and has expired.

        Returns the units to repeat in the next batch.
        """
        self._mark.batch += 1
        self._mark.doubtful = False
        while True:
            late = [work for work in works if work.expires < self._loop.time()]
            if late and not self._mark.doubtful:
                batch.refuse(late, StoreUnavailable)
                works = [work for work in works if work not in late]
            if not works:
                return []
            try:
                again = await self._try(works)
            except AWAY as error:
                self._writing.met(why(error))
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception:
                logger.exception("storage: a batch failed permanently")
                batch.refuse(works, StoreUnavailable)
                return []
            else:
                self._writing.over()
                batch.answer(work for work in works if not work.again)
                return again

    async def _try(self, works: list[Work]) -> list[Work]:
        connection = await self._connected()
        try:
            settings = self._settings_for(max(work.met for work in works))
            return await connection.run_sync(
                lambda sync: batch.commit(works, _Transactions(sync, self._mark, self._tx, settings))
            )
        except AWAY:
            await self._disconnect()
            raise

    def _settings_for(self, met: int) -> str:
        if not met and not self._settings:
            return ""
        return f"{self._settings}SET LOCAL lock_timeout = {min(LOCK_MS << met, LONGEST_LOCK_MS)}; "

    async def _connected(self) -> AsyncConnection:
        """The kept connection, unless the server closed it meanwhile."""
        if self._connection is not None and _is_closed(self._connection):
            await self._disconnect()
        if self._connection is None:
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


@dataclass(slots=True)
class _Mark:
    """A writer's row in `commit_mark`. `doubtful`: a COMMIT of this batch was sent, and no answer to it has come."""

    id: str
    batch: int = 0
    doubtful: bool = False


class _Transactions:
    """Fills `batch.Database` on a writer's connection."""

    def __init__(self, connection: Connection, mark: _Mark, tx: Callable[[Connection], Tx], settings: str) -> None:
        self._connection = connection
        self._mark = mark
        self._tx = tx
        self._settings = settings

    @contextmanager
    def transaction(self) -> Iterator[Tx | None]:
        with self._connection.begin():  # a note of SQLAlchemy's, which sends nothing
            begun = self._send(
                _BEGIN.format(settings=self._settings, id=self._mark.id, batch=self._mark.batch, at=time.time())
            )
            if begun != _ONE_ROW:
                self._send("ROLLBACK")
                yield None
                return
            # Not committed yet, and no other transaction can commit it now: we hold the lock of the mark's row.
            self._mark.doubtful = False
            try:
                yield self._tx(self._connection)
            except Exception as error:
                if not _breaks_batch(error):
                    self._send("ROLLBACK")
                raise
            self._mark.doubtful = True
            if self._send("COMMIT") != "COMMIT":
                self._mark.doubtful = False
                raise asyncpg.InterfaceError("the server rolled the transaction back")

    def control(self, *commands: str) -> None:
        self._send("; ".join(commands))

    def breaks_batch(self, error: Exception) -> bool:
        return _breaks_batch(error)

    def contended(self, error: Exception) -> bool:
        return contended(error)

    def _send(self, commands: str) -> str:
        """Send them in one round trip. Returns the tag of the last one."""
        adapter: Any = self._connection.connection.dbapi_connection
        tag: str = adapter.run_async(lambda driver: driver.execute(commands))
        return tag
