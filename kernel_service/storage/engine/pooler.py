"""Detects a pooler between this process and the server, and whether it gives each transaction another session.

Notices need a dedicated session. Behind such a pooler LISTEN would succeed and receive nothing.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncpg

    from kernel_service.storage.engine.postgres_server import Server

_ANSWER_SECONDS: Final = 3.0
_ROUNDS: Final = 3
_PID = "SELECT pg_backend_pid()"


class SessionKind(Enum):
    """The session behind a connection: the server's own, a pooler's for the connection's lifetime, or one per
    transaction.
    """

    DIRECT = auto()
    KEPT = auto()
    PER_TRANSACTION = auto()


async def session_kind(server: Server) -> SessionKind:
    """Raises one of `postgres_server.LOST`."""
    careful = replace(server, multiplexed=True)
    async with AsyncExitStack() as stack:
        first = await _connected(careful, stack)
        if await _pid(first) == first.get_server_pid():
            return SessionKind.DIRECT  # the pooler issues its own process ids
        for _ in range(_ROUNDS):
            before = await _pid(first)
            other = await _connected(careful, stack)
            # Keeps its transaction open. If it runs in the first connection's session, both share one session.
            await other.execute("BEGIN")
            if await other.fetchval(_PID) == before or await _pid(first) != before:
                return SessionKind.PER_TRANSACTION
    return SessionKind.KEPT


async def _connected(server: Server, stack: AsyncExitStack) -> asyncpg.Connection:
    connection = await server.connect("check", seconds=_ANSWER_SECONDS)
    stack.callback(connection.terminate)
    return connection


async def _pid(connection: asyncpg.Connection) -> int:
    async with connection.transaction():
        return int(await connection.fetchval(_PID))
