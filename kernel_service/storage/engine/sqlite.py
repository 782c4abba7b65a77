"""SQLite: one writer thread that commits in groups, a few reader threads. WAL with every commit on disk."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError

from kernel_service.errors import StoreUnavailable
from kernel_service.storage.engine import batch, outage_log
from kernel_service.storage.engine.batch import BATCH, Work
from kernel_service.storage.engine.engine import Tx
from kernel_service.storage.engine.gathering import Gathering
from kernel_service.storage.engine.outage_log import OutageLog
from kernel_service.storage.engine.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy import Engine as Database
    from sqlalchemy.pool import PoolProxiedConnection

    from kernel_service.ports.notices import NoticeTransport
    from kernel_service.storage.engine.engine import Keyring, T
    from kernel_service.storage.engine.file_lock import FileLock
    from kernel_service.storage.sealing.ciphers import Digests

READERS = 2
CACHED_STATEMENTS = 500
"""Prepared statements of a connection: more than the store has, with the common lengths of their lists."""
VACUUM_BYTES = 1024 * 1024 * 1024
"""Rewriting a file of this size takes five to ten seconds, during which all writers wait."""
PRAGMAS: tuple[str, ...] = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA busy_timeout = 4000",
    "PRAGMA foreign_keys = ON",
    # Deleted content is overwritten, also in its former place after a move.
    "PRAGMA secure_delete = ON",
)
_FAILED = (DBAPIError, sqlite3.Error)
"""Errors of statements, and of the transaction's own commands."""
_DISK_FAILED = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# I/O errors that report missing space before anything is written. Otherwise missing space is SQLITE_FULL.
_NO_ROOM = {sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_NOMEM}
_TEMPORARY = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
"""After these the same connection serves again."""
_UNIT_FAILED = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_RANGE,
}


def connect(path: Path) -> Database:
    """The database, with our pragmas and explicit transactions; errors hide the statements' values."""
    database = create_engine(
        f"sqlite:///{path}",
        connect_args={"check_same_thread": False, "cached_statements": CACHED_STATEMENTS},
        pool_size=READERS + 1,
        max_overflow=0,
        pool_use_lifo=True,  # the connection used last has the pages and statements in memory
        hide_parameters=True,
    )
    event.listen(database, "connect", _prepare)
    event.listen(database, "begin", _begin)
    return database


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    # The driver's own transactions begin late and end before DDL; see SQLAlchemy's notes on pysqlite.
    connection.isolation_level = None
    for pragma in PRAGMAS:
        connection.execute(pragma).close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("is_writer"):
        connection.connection.cursor().execute("BEGIN IMMEDIATE" if options.get("immediate") else "BEGIN")


def _code(error: BaseException | None) -> int:
    """The primary code. Every kind of missing space is SQLITE_FULL."""
    extended: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return sqlite3.SQLITE_FULL if extended in _NO_ROOM else extended & 0xFF


def _name(error: Exception) -> str:
    """The error's name, such as `SQLITE_FULL`, without a statement or its values."""
    original = _original(error)
    return str(getattr(original, "sqlite_errorname", type(original).__name__))


def _breaks_batch(error: Exception) -> bool:
    return isinstance(error, _FAILED) and _code(_original(error)) not in _UNIT_FAILED


def _original(error: Exception) -> BaseException | None:
    """The driver's error."""
    return error.orig if isinstance(error, DBAPIError) else error


@dataclass(slots=True, eq=False)
class Vacuum:
    """A request to rewrite the file between two groups."""

    future: asyncio.Future[str]


def _vacuum(connection: PoolProxiedConnection) -> str:
    def pragma(name: str) -> int:
        return int(connection.cursor().execute(f"PRAGMA {name}").fetchone()[0])

    if pragma("page_count") * pragma("page_size") > VACUUM_BYTES:
        return "stop the service in a quiet hour and run VACUUM on the database's file"
    connection.cursor().execute("PRAGMA temp_store = FILE")  # for the copy
    connection.cursor().execute("VACUUM")
    if pragma("wal_checkpoint(TRUNCATE)"):  # a reader is active: the log beside the file still holds the old content
        raise sqlite3.OperationalError("the log is in use")
    return ""


def _answer(future: asyncio.Future[str], left_to_do: str) -> None:
    if not future.done():
        future.set_result(left_to_do)


class _Writer:
    """The connection that writes. It is kept, so that the pages it read stay in memory. Only in the writer's thread."""

    def __init__(self, database: Database, statements: Statements, tx: Callable[[Connection], Tx]) -> None:
        self._database = database
        self._statements = statements
        self._make_tx = tx
        self._tx: Tx | None = None

    def __enter__(self) -> Tx:
        tx = self._tx or self.connect()
        tx.cursor.execute("BEGIN IMMEDIATE")
        return tx

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        tx = self._tx or self.connect()
        if error is not None:
            tx.connection.connection.rollback()
            return
        try:
            tx.cursor.execute("COMMIT")
        except sqlite3.Error as failed:
            tx.connection.connection.rollback()  # the transaction may still be open
            raise self._statements.failure(tx.connection, "COMMIT", failed) from failed

    def control(self, *commands: str) -> None:
        cursor = self.connect().cursor
        for command in commands:
            cursor.execute(command)

    def breaks_batch(self, error: Exception) -> bool:
        return _breaks_batch(error)

    def contended(self, _: Exception) -> bool:
        return False  # this is the only process that writes

    def connect(self) -> Tx:
        """All transactions of a connection are one object."""
        if self._tx is None:
            connection = self._database.connect().execution_options(is_writer=True)
            connection.begin()  # a note of SQLAlchemy's, which sends nothing and lasts as long as the connection
            self._tx = self._make_tx(connection)
            # For the pages that a savepoint restores: by default, a group of many pages makes a file for them.
            self._tx.cursor.execute("PRAGMA temp_store = MEMORY")
        return self._tx

    def disconnect(self) -> None:
        """The next transaction has a new connection."""
        tx, self._tx = self._tx, None
        if tx is not None:
            tx.connection.invalidate()
            tx.connection.close()


class SqliteEngine:
    """Fills `Engine`. `end_process` is called when the disk fails: the durable state is unknown then."""

    def __init__(
        self,
        database: Database,
        lock: FileLock,
        keyring: Keyring,
        digests: Digests,
        *,
        end_process: Callable[[str], None] = batch.end_process,
    ) -> None:
        self._database = database
        self.statements = Statements(database.dialect)
        self._lock = lock
        self.keyring = keyring
        self._digests = digests
        self.is_shared = False
        self.notices: NoticeTransport | None = None
        self.end_process = end_process
        self._writing, self._reading = OutageLog("write to the database"), OutageLog("read the database")
        self.outages = (self._reading, self._writing)
        self._loop = asyncio.get_running_loop()
        self._works: queue.SimpleQueue[list[Work] | None] = queue.SimpleQueue()
        """None: the writer ends."""
        self._gathering = Gathering(self._works.put)
        self._apart: deque[Work | Vacuum] = deque()
        self._readers = ThreadPoolExecutor(READERS, "store-reader")
        self._writer = _Writer(database, self.statements, self._tx)
        self._thread = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        self._thread.start()
        self._closed = False

    async def write(self, unit: Callable[[Tx], T], person_id: str = "") -> T:  # noqa: ARG002 - one writer
        if self._closed:
            raise StoreUnavailable
        future: asyncio.Future[T] = self._loop.create_future()
        self._gathering.put(Work(unit, future))
        return await future

    def write_behind(self, unit: Callable[[Tx], Any], person_id: str = "") -> None:  # noqa: ARG002 - one writer
        if self._closed:
            raise StoreUnavailable
        self._gathering.put_behind(Work(unit, None))

    async def write_apart(self, unit: Callable[[Tx], T]) -> T:
        if self._closed:
            raise StoreUnavailable
        future: asyncio.Future[T] = self._loop.create_future()
        self._apart.append(Work(unit, future))
        self._works.put([])  # the writer looks
        return await future

    async def write_alone(self, unit: Callable[[Tx], T]) -> T:
        return await self.write(unit)  # each unit waits for the one writer

    async def vacuum(self) -> str:
        if self._closed:
            raise StoreUnavailable
        future: asyncio.Future[str] = self._loop.create_future()
        self._apart.append(Vacuum(future))
        self._works.put([])  # the writer looks
        return await future

    async def read(self, unit: Callable[[Tx], T]) -> T:
        if self._closed:
            raise StoreUnavailable
        return await self._loop.run_in_executor(self._readers, self._read, unit)

    async def close(self) -> None:
        """Commit the queued units, then release the file."""
        if self._closed:
            return
        self._closed = True
        self._gathering.leave()
        self._works.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._readers.shutdown)
        self._database.dispose()
        self._lock.release()

    def _read(self, unit: Callable[[Tx], T]) -> T:
        began = outage_log.now()
        try:
            with self._database.begin() as connection:
                result = unit(self._tx(connection))
        except _FAILED as error:
            if not _breaks_batch(error):
                raise
            self._reading.met(_name(error), began)
            raise StoreUnavailable from None
        self._reading.over()
        return result

    def _tx(self, connection: Connection) -> Tx:
        return Tx(connection, self.statements, self.keyring, self._digests)

    def _write_all(self) -> None:
        while (works := self._next()) is not None:
            if works := batch.wanted(works):
                self._commit(works)
            if self._apart:  # one at a time, so that a group waits for one unit at most
                self._do_apart(self._apart.popleft())
        self._writer.disconnect()

    def _next(self) -> list[Work] | None:
        """The queued units as a group, which is empty if one of low priority waits. None: the writer must end."""
        works = [] if self._apart else self._works.get()
        while works is not None and len(works) < BATCH and not self._works.empty():
            more = self._works.get()
            if more is None:
                self._works.put(None)
                break
            works += more
        return works

    def _do_apart(self, work: Work | Vacuum) -> None:
        if isinstance(work, Work):
            self._commit([work])
            return
        if work.future.cancelled():
            return
        try:
            left_to_do = _vacuum(self._writer.connect().connection.connection)
        except Exception as error:  # noqa: BLE001 - as in _commit
            self._fail([work], error)
        else:
            self._writer.disconnect()
            self._loop.call_soon_threadsafe(_answer, work.future, left_to_do)

    def _commit(self, works: list[Work]) -> None:
        try:
            batch.commit(works, self._writer)
        except Exception as error:  # noqa: BLE001 - the callers must be told of any error
            self._fail(works, error)
        else:
            if self._writing.lasts:
                self._writing.over()
            self._loop.call_soon_threadsafe(batch.answer, works)

    def _fail(self, works: Sequence[Work | Vacuum], error: Exception) -> None:
        problem = _code(_original(error))
        if problem not in _TEMPORARY:
            self._writer.disconnect()
        if problem in _DISK_FAILED:
            self.end_process(f"the database file cannot be written or read ({_name(error)})")
        self._writing.met(_name(error))
        self._loop.call_soon_threadsafe(batch.refuse, works, StoreUnavailable)
