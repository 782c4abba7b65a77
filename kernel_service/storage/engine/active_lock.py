"""The PostgreSQL advisory lock of the one active process. A second process waits for it, as a standby.

The lock lives as long as its connection. If the connection is lost (the server restarted, the network broke), the lock
is acquired again. If another process holds it by then, this process ends. Epochs fence the writes in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from kernel_service.storage.engine.outage_log import OutageLog
from kernel_service.storage.engine.postgres_server import LOST, why

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

    from kernel_service.storage.engine.postgres_server import Server

logger = logging.getLogger(__name__)

LOCK = 0x6B65726E656C  # "kernel"
_CHECK_SECONDS = 2.0
_ANSWER_SECONDS = 3.0
# Long enough for the server to notice that our former connection is closed.
_TRIES = 10
_PAUSE_SECONDS = 0.5
# The server drops a holder whose machine vanished within about ten seconds. A standby may wait indefinitely.
_SETTINGS = {
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "statement_timeout": "0",
}
_HELD = """
SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND (classid::bigint << 32) + objid::bigint = $1
"""


class ActiveLock:
    """Created by `take`. `end_process` is called when another process has become the active one."""

    def __init__(self, server: Server, end_process: Callable[[str], None]) -> None:
        self._server = server
        self._end_process = end_process
        self._connection: asyncpg.Connection | None = None
        self._lost = asyncio.Event()
        self._holding = OutageLog("hold the active lock")
        self._guard: asyncio.Task[None] | None = None

    @classmethod
    async def take(cls, server: Server, end_process: Callable[[str], None]) -> ActiveLock:
        """Return once this process is the active one, however long that takes. Raises one of LOST if the first connect
        fails.
        """
        lock = cls(server, end_process)
        while not await lock._try():
            logger.warning("storage: another process is active; this one stands by")
            await lock._wait()
        lock._guard = asyncio.create_task(lock._keep(), name="store-active-lock")
        return lock

    async def release(self) -> None:
        if self._guard is not None:
            self._guard.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._guard
        await self._disconnect()

    async def _try(self) -> bool:
        await self._disconnect()
        connection = await self._server.connect("active", settings=_SETTINGS)
        self._connection = connection
        self._lost.clear()
        connection.add_termination_listener(lambda _: self._lost.set())
        return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK))

    async def _wait(self) -> None:
        assert self._connection is not None  # noqa: S101 - `_try` came before
        with contextlib.suppress(*LOST):
            await self._connection.execute(f"SELECT pg_advisory_lock({LOCK}), pg_advisory_unlock({LOCK})")

    async def _keep(self) -> None:
        ours = True
        while ours:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), _CHECK_SECONDS)
            ours = await self._held() or await self._take_again()

    async def _held(self) -> bool:
        if self._connection is None or self._lost.is_set():
            return False
        try:
            return bool(await self._connection.fetch(_HELD, LOCK, timeout=_ANSWER_SECONDS))
        except LOST:
            return False

    async def _take_again(self) -> bool:
        """False: another process holds the lock. During an outage of the database no process holds it."""
        for _ in range(_TRIES):
            try:
                taken = await self._try()
            except LOST as error:
                self._holding.met(why(error))
                self._lost.set()
                taken = False
            if taken:
                self._holding.met("its connection was lost")
                self._holding.over()
                return True
            await asyncio.sleep(_PAUSE_SECONDS)
        if not self._lost.is_set():
            self._end_process("another process has become the active one")
        return self._lost.is_set()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.close(timeout=_ANSWER_SECONDS)
        except LOST:
            connection.terminate()
