"""Notices between the processes of one PostgreSQL: LISTEN and NOTIFY, on one connection of each process.

A transaction that notifies commits under a lock of the whole server, so no transaction that stores something does. The
commit of a notice is not waited for on disk either.
https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from kernel_service.storage.engine.outage_log import OutageLog
from kernel_service.storage.engine.postgres_server import LOST, why
from serving.cancellation import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import asyncpg

    from kernel_service.storage.engine.postgres_server import Server

logger = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.005
"""The least time between two commands. The texts of that time share the next one."""
MOST_WAITING: Final = 4096
PAYLOAD_BYTES: Final = 7999
"""PostgreSQL takes fewer than 8000 bytes."""
ANSWER_SECONDS = 3.0
CHECK_SECONDS = 5.0
"""How often a silent connection is tried: a broken network may not report the loss."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0
_SETTINGS: Final = {"synchronous_commit": "off"}
_NOTIFY: Final = "SELECT pg_notify(channel, payload) FROM unnest($1::text[], $2::text[]) AS each (channel, payload)"


class PostgresNotices:
    """Fills `NoticeTransport`. A text is lost with the connection, or if it is the oldest in a full queue."""

    def __init__(self, server: Server, connection: asyncpg.Connection) -> None:
        self._server = server
        self._connection: asyncpg.Connection | None = connection
        self._waiting: deque[tuple[str, str]] = deque(maxlen=MOST_WAITING)
        self._woken = asyncio.Event()
        self._closed = False
        self.dropped = 0
        self._me = ""
        self._handler: Callable[[str], None] = _ignore
        self._outage = OutageLog("exchange notices with other processes")
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, server: Server) -> PostgresNotices:
        """Raises one of `postgres_server.LOST`."""
        return cls(server, await _connected(server))

    def send(self, to: str, text: str) -> None:
        if len(self._me) + 1 + len(text.encode()) > PAYLOAD_BYTES:
            logger.error("storage: a notice of %d characters is too long, and not sent", len(text))
            self.dropped += 1
            return
        if len(self._waiting) == MOST_WAITING:
            self.dropped += 1
        self._waiting.append((to, text))
        self._woken.set()

    def receive(self, me: str, handler: Callable[[str], None], missed: Callable[[], None]) -> None:
        self._me, self._handler = me, handler
        self._task = asyncio.create_task(self._run(missed), name="store-notices")

    async def close(self) -> None:
        """Send the queued texts if that is possible at once, then disconnect."""
        self._closed = True
        self._woken.set()
        if self._task is not None:
            if self._connection is not None:
                await asyncio.wait({self._task}, timeout=ANSWER_SECONDS)
            await cancel_and_wait(self._task)
        self._disconnect()

    async def _run(self, missed: Callable[[], None]) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._closed:
            try:
                async with self._listening() as connection:
                    self._outage.succeeded()
                    pause = _FIRST_PAUSE_SECONDS
                    missed()
                    await self._exchange(connection)
            except LOST as error:
                if not self._closed:
                    self._outage.failed(why(error))
                    await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
                    pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[asyncpg.Connection]:
        connection = self._connection = self._connection or await _connected(self._server)
        try:
            connection.add_termination_listener(lambda _: self._woken.set())
            for channel in (_channel(""), _channel(self._me)):
                await connection.add_listener(channel, self._receive)
            yield connection
        finally:
            self._disconnect()

    async def _exchange(self, connection: asyncpg.Connection) -> None:
        while self._waiting or not self._closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._woken.wait()
            self._woken.clear()
            # Also without a payload: the command shows whether the connection is open.
            channels, payloads = zip(*self._payloads(), strict=True) if self._waiting else ((), ())
            await connection.fetch(_NOTIFY, channels, payloads)
            await asyncio.sleep(GATHER_SECONDS)

    def _payloads(self) -> Iterator[tuple[str, str]]:
        """Channels with payloads: the sender, then texts, one a line."""
        open_payloads: dict[str, tuple[list[str], int]] = {}
        while self._waiting:
            to, text = self._waiting.popleft()
            size = len(text.encode()) + 1
            lines, bytes_ = open_payloads.get(to, ([self._me], len(self._me)))
            if bytes_ + size > PAYLOAD_BYTES:
                yield _channel(to), "\n".join(lines)
                lines, bytes_ = [self._me], len(self._me)
            lines.append(text)
            open_payloads[to] = lines, bytes_ + size
        for to, (lines, _) in open_payloads.items():
            yield _channel(to), "\n".join(lines)

    def _receive(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        sender, *texts = payload.split("\n")
        if sender != self._me:
            for text in texts:
                self._handler(text)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def _connected(server: Server) -> asyncpg.Connection:
    return await server.connect("notices", settings=_SETTINGS, seconds=ANSWER_SECONDS)


def _channel(node_id: str) -> str:
    return f"kernel_notices_{node_id}"


def _ignore(_text: str) -> None: ...
