"""Opens the connections to PostgreSQL, with the settings of their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg
    from sqlalchemy.ext.asyncio import AsyncEngine

    from kernel_service.storage.engine.postgres_server import Server

PREPARED = 200
"""Prepared statements of a connection: more than are in frequent use, with the common lengths of their lists."""
ANSWER_SECONDS = 3.0
CLOSE_SECONDS = 5.0
"""How long a store that closes waits for the last commits, and then for the server to close its connections.

Without an answer the callers of the commits never receive the outcome.
"""
LOCK_MS, LONGEST_LOCK_MS = 100, 1000
"""How long a unit waits for a lock that another transaction holds: doubled each time, up to the longest.

So a deadlock delays others for far less than the server's deadlock_timeout of a second.
"""
UNIT_SECONDS = 2.0
"""How long a unit waits for the server, or for locks, before it is refused.

The wait begins again when a connection is lost: the server was reachable, and ended a transaction whose process was
frozen.
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
MULTIPLEXED = (
    f"SET LOCAL idle_in_transaction_session_timeout = '{_FROZEN}'; SET LOCAL synchronous_commit = on;"
    " SET TRANSACTION ISOLATION LEVEL READ COMMITTED; "
)
"""The same for one transaction, if its session keeps no settings."""


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
