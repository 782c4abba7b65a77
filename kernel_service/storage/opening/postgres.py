"""Open a PostgreSQL database that other processes may have open: migrate it, read its keys.

Problems of the server, of a pooler or of permissions are reported here, before any request is served.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from kernel_service.storage.engine import pooler, postgres_connections, postgres_faults
from kernel_service.storage.engine.engine import Keyring
from kernel_service.storage.engine.pooler import SessionKind
from kernel_service.storage.engine.postgres import PostgresEngine
from kernel_service.storage.engine.postgres_notices import PostgresNotices
from kernel_service.storage.engine.postgres_server import LOST, ReadOnlyServerError, Server, why
from kernel_service.storage.engine.postgres_url import parse
from kernel_service.storage.opening.migrating import prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import asyncpg
    from sqlalchemy.ext.asyncio import AsyncEngine

    from kernel_service.storage.sealing.ciphers import Digests, MasterKeys

logger = logging.getLogger(__name__)

URL, DIRECT_URL, POOL = "KERNEL_DATABASE_URL", "KERNEL_DATABASE_DIRECT_URL", "KERNEL_DATABASE_POOL"
_TRIES, _PAUSE_SECONDS = 20, 0.2
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock($1)"
_INSUFFICIENT_PRIVILEGE, _NO_SCHEMA, _READ_ONLY = "42501", "3F000", "25006"


class DatabaseUnfitError(RuntimeError):
    """The database cannot be reached, or cannot be used as it is. The text gives the reason and the fix."""


async def open_postgres(
    url: str, master_keys: MasterKeys, end_process: Callable[[str], None], *, direct_url: str = "", pool: int
) -> PostgresEngine:
    """Raises `DatabaseUnfitError`, `SchemaTooNewError`, and `ValueError` for a URL that cannot be read."""
    server, direct = await _servers(url, direct_url)
    if direct_url:
        await _check_same_database(server, direct)
    digests = await _prepare(direct, master_keys)
    notices = await _connect_notices(direct, DIRECT_URL if direct_url else URL)
    database = postgres_connections.connect(server, pool=pool)
    try:
        await _open_pool(database, pool)
    except BaseException:
        if notices is not None:
            await notices.close()
        raise
    keyring = Keyring(master_keys)
    return PostgresEngine(database, keyring, digests, end_process, notices, multiplexed=server.multiplexed)


async def _servers(url: str, direct_url: str) -> tuple[Server, Server]:
    """The server for transactions, and the one for connections that need a session, if there is one."""
    server = await _checked_server(url, URL)
    if not direct_url:
        return server, server
    direct = await _checked_server(direct_url, DIRECT_URL)
    if direct.multiplexed:
        raise DatabaseUnfitError(
            f"{DIRECT_URL} leads to a pooler in transaction mode: it must lead to the server itself, or to a pooler in"
            " session mode"
        )
    return server, direct


async def _checked_server(url: str, setting: str) -> Server:
    server = Server(parse(url))
    async with _reported(setting):
        return replace(server, multiplexed=await pooler.session_kind(server) is SessionKind.PER_TRANSACTION)


async def _check_same_database(server: Server, direct: Server) -> None:
    """A lock that is held in a transaction over the one URL cannot be acquired over the other one."""
    number = secrets.randbits(62)
    async with _connected(direct, DIRECT_URL) as holder, _connected(server, URL) as other:
        await holder.fetchval(_TRY_LOCK, number)
        if await other.fetchval("SELECT current_setting('transaction_read_only')") == "on":
            raise ReadOnlyServerError
        if await other.fetchval(_TRY_LOCK, number):
            raise DatabaseUnfitError(f"{DIRECT_URL} and {URL} lead to different databases")


@asynccontextmanager
async def _connected(server: Server, setting: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection in a transaction."""
    async with _reported(setting):
        connection = await server.connect("check", seconds=postgres_connections.ANSWER_SECONDS)
        try:
            async with connection.transaction():
                yield connection
        finally:
            connection.terminate()


async def _prepare(server: Server, master_keys: MasterKeys, tried: int = 1) -> Digests:
    database = postgres_connections.connect_once(server)
    try:
        async with database.begin() as connection:
            return await connection.run_sync(prepare, master_keys)
    except DBAPIError as error:
        if tried == _TRIES or not postgres_faults.contended(error):
            raise DatabaseUnfitError(_unprepared(error)) from None
    except LOST as error:
        raise DatabaseUnfitError(f"the database cannot be migrated: {why(error)}") from None
    await asyncio.sleep(_PAUSE_SECONDS)  # running processes write between two attempts
    return await _prepare(server, master_keys, tried + 1)


def _unprepared(error: DBAPIError) -> str:
    sqlstate = getattr(error.orig, "sqlstate", None) or ""
    if sqlstate in {_INSUFFICIENT_PRIVILEGE, _NO_SCHEMA}:
        return (
            "the database cannot be migrated: its user may not create tables in its schema, or does not own those that"
            " are there (GRANT USAGE, CREATE ON SCHEMA … TO …; ALTER TABLE … OWNER TO …)"
        )
    if sqlstate == _READ_ONLY:
        return "the database cannot be migrated: the server is read-only"
    if postgres_faults.contended(error):
        return (
            "the database cannot be migrated: another transaction keeps its tables locked (pg_stat_activity shows it):"
            " end it, or start again later"
        )
    return f"the database cannot be migrated: {why(error)}"


async def _connect_notices(direct: Server, setting: str) -> PostgresNotices | None:
    if direct.multiplexed:
        logger.warning(
            "storage: %s leads to a pooler in transaction mode, through which processes cannot notify each other: work"
            " that one leaves to another waits up to two seconds. Set %s to avoid that",
            URL,
            DIRECT_URL,
        )
        return None
    async with _reported(setting):
        return await PostgresNotices.connect(direct)


async def _open_pool(database: AsyncEngine, pool: int) -> None:
    """Open all connections at once, so that a connection limit is detected now and not under load."""
    opened = await asyncio.gather(*(database.connect() for _ in range(pool)), return_exceptions=True)
    failed = [one for one in opened if isinstance(one, BaseException)]
    for one in opened:
        if not isinstance(one, BaseException):
            await one.close()
    if failed:
        await database.dispose()
        granted = pool - len(failed)
        raise DatabaseUnfitError(
            f"{URL}: of {pool} connections {granted} were granted ({why(failed[0])}). Each process needs {pool}, and"
            " one more for notices: allow more (PostgreSQL's max_connections, the role's or the pooler's limit), or set"
            f" {POOL}"
        )


@asynccontextmanager
async def _reported(setting: str) -> AsyncIterator[None]:
    try:
        yield
    except LOST as error:
        raise DatabaseUnfitError(f"{setting}: cannot connect to the database: {why(error)}") from None
