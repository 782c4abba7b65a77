"""Whether a pooler stands before the server, and whether it gives each transaction another session.

What needs a session of its own (the lock of the active process) would seem to work behind such a pooler, and hold
nothing.
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
    """What a connection is: the server's own session, a pooler's for as long as it lives, or one per transaction."""

    DIRECT = auto()
    KEPT = auto()
    PER_TRANSACTION = auto()


async def look(server: Server) -> SessionKind:
    """One of `postgres_server.LOST`."""
    careful = replace(server, multiplexed=True)
    async with AsyncExitStack() as stack:
        first = await _connected(careful, stack)
        if await _pid(first) == first.get_server_pid():
            return SessionKind.DIRECT  # a pooler gives out numbers of its own
        for _ in range(_ROUNDS):
            before = await _pid(first)
            other = await _connected(careful, stack)
            # Its transaction stays open. If that is in the session that the first one had, neither has one of its own.
            await other.execute("BEGIN")
            if await other.fetchval(_PID) == before or await _pid(first) != before:
                return SessionKind.PER_TRANSACTION
    return SessionKind.KEPT


async def _connected(server: Server, stack: AsyncExitStack) -> asyncpg.Connection:
    connection = await server.connect("look", seconds=_ANSWER_SECONDS)
    stack.callback(connection.terminate)
    return connection


async def _pid(connection: asyncpg.Connection) -> int:
    async with connection.transaction():
        return int(await connection.fetchval(_PID))
