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

from kernel_service.errors import StoreUnavailable
from kernel_service.storage.engine import batch, outage_log, sqlite_faults
from kernel_service.storage.engine.batch import BATCH, Work
from kernel_service.storage.engine.engine import Tx
from kernel_service.storage.engine.gathering import Gathering
from kernel_service.storage.engine.outage_log import OutageLog
from kernel_service.storage.engine.sqlite_transactions import OWN_TRANSACTIONS, Transactions, Writer
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


def connect(path: Path) -> Database:
    """The database, with our pragmas and explicit transactions; errors hide the statements' values."""
    database = create_engine(
        f"sqlite:///{path}",
        connect_args={"check_same_thread": False, "cached_statements": CACHED_STATEMENTS},
        pool_size=READERS + 1,
        max_overflow=0,
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
    if OWN_TRANSACTIONS not in options:
        connection.connection.cursor().execute("BEGIN IMMEDIATE" if options.get("immediate") else "BEGIN")


@dataclass(slots=True, eq=False)
class Vacuum:
    """A request to rewrite the file between two groups."""

    future: asyncio.Future[str]


def _vacuum(connection: PoolProxiedConnection) -> str:
    def pragma(name: str) -> int:
        return int(connection.cursor().execute(f"PRAGMA {name}").fetchone()[0])

    if pragma("page_count") * pragma("page_size") > VACUUM_BYTES:
        return "stop the service at a time of low load and run VACUUM on the database's file"
    connection.cursor().execute("PRAGMA temp_store = FILE")  # for the copy
    connection.cursor().execute("VACUUM")
    if pragma("wal_checkpoint(TRUNCATE)"):  # a reader is active: the log beside the file still holds the old content
        raise sqlite3.OperationalError("the log is in use")
    return ""


def _answer(future: asyncio.Future[str], left_to_do: str) -> None:
    if not future.done():
        future.set_result(left_to_do)


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
        self._readers = ThreadPoolExecutor(READERS, "store-reader", initializer=self._start_reader)
        self._reader = threading.local()
        self._transactions: list[Transactions] = []
        """Of the readers."""
        self._writer = Writer(database, self.statements, self._tx)
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
        self._works.put([])  # wakes the writer
        return await future

    async def write_alone(self, unit: Callable[[Tx], T]) -> T:
        return await self.write(unit)  # each unit waits for the one writer

    async def vacuum(self) -> str:
        if self._closed:
            raise StoreUnavailable
        future: asyncio.Future[str] = self._loop.create_future()
        self._apart.append(Vacuum(future))
        self._works.put([])  # wakes the writer
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
        for transactions in self._transactions:
            transactions.disconnect()
        self._database.dispose()
        self._lock.release()

    def _start_reader(self) -> None:
        self._reader.transactions = Transactions(self._database, self.statements, self._tx)
        self._transactions.append(self._reader.transactions)

    def _read(self, unit: Callable[[Tx], T]) -> T:
        began = outage_log.now()
        transactions: Transactions = self._reader.transactions
        try:
            with transactions as tx:
                result = unit(tx)
        except sqlite_faults.FAILED as error:
            if not sqlite_faults.breaks_batch(error):
                raise
            if not sqlite_faults.is_temporary(error):
                transactions.disconnect()
            self._reading.failed(sqlite_faults.name_of(error), began)
            raise StoreUnavailable from None
        if self._reading.lasts:
            self._reading.succeeded()
        return result

    def _tx(self, connection: Connection) -> Tx:
        return Tx(connection, self.statements, self.keyring, self._digests)

    def _write_all(self) -> None:
        while (works := self._next()) is not None:
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
            self._loop.call_soon_threadsafe(_answer, work.future, left_to_do)
        self._writer.disconnect()  # its setting was for the copy

    def _commit(self, works: list[Work]) -> None:
        try:
            batch.commit(works, self._writer)
        except Exception as error:  # noqa: BLE001 - the callers receive any error
            self._fail(works, error)
        else:
            if self._writing.lasts:
                self._writing.succeeded()
            self._loop.call_soon_threadsafe(batch.answer, works)

    def _fail(self, works: Sequence[Work | Vacuum], error: Exception) -> None:
        if not sqlite_faults.is_temporary(error):
            self._writer.disconnect()
        if sqlite_faults.is_of_disk(error):
            self.end_process(f"the database file cannot be written or read ({sqlite_faults.name_of(error)})")
        self._writing.failed(sqlite_faults.name_of(error))
        self._loop.call_soon_threadsafe(batch.refuse, works, StoreUnavailable)
