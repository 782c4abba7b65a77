"""PostgreSQL for tests: one server in a process, and databases that are emptied and used again.

A database costs the server 0.4 s of CPU to create and drop, and 0.02 s to empty.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from kernel_service.storage.engine.postgres_connections import connect_once
from kernel_service.storage.engine.postgres_server import Server
from kernel_service.storage.engine.postgres_url import parse
from kernel_service.storage.opening import migrating
from tests.bundled_postgres import bundled_server
from tests.master_keys import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TEMPLATE: Final = "kernel_template"
_CONNECT_SECONDS: Final = 60
# No test cuts the power, so durability is the server's own concern here. Without autovacuum no plan depends on when it
# comes.
_SETTINGS: Final = ("fsync = off", "full_page_writes = off", "autovacuum = off")
_END_OTHERS: Final = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_TABLES: Final = (
    "SELECT quote_ident(relname), pg_relation_size(oid) > 0 FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"
)
# A store that is opened analyzes tables that have rows and no statistics.
_FORGET_STATISTICS: Final = (
    "DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
)
# Emptying a table changes its row in pg_class alone. A change of the schema or of the settings changes one of these.
_SHAPE: Final = """
    SELECT (SELECT (count(*), max(xmin::text::bigint))::text FROM pg_attribute),
        (SELECT (count(*), max(xmin::text::bigint))::text FROM pg_constraint),
        (SELECT (count(*), max(xmin::text::bigint))::text FROM pg_proc),
        (SELECT (count(*), max(xmin::text::bigint))::text FROM pg_trigger),
        (SELECT count(*) FROM pg_namespace),
        (SELECT string_agg(concat(relname, relkind, relpersistence, reloptions), ' ' ORDER BY relname) FROM pg_class
            WHERE relnamespace = 'public'::regnamespace),
        (SELECT concat(datconnlimit, datallowconn) FROM pg_database WHERE datname = current_database()),
        (SELECT count(*) FROM pg_db_role_setting JOIN pg_database ON setdatabase = pg_database.oid
            WHERE datname = current_database())
"""


async def command(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


class PristineDatabases:
    """Migrated databases without a row or a table of a test.

    `uri` returns the URL of a database of the server, by its name.
    """

    def __init__(self, uri: Callable[[str], str]) -> None:
        self.uri = uri
        self._free: list[str] = []
        self._tables: dict[str, bool] = {}
        """The template's, and whether a migration writes rows of it."""
        self._pristine: list[Any] = []

    async def prepare(self) -> None:
        """Migrate the template."""
        for setting in _SETTINGS:
            await command(self.uri("postgres"), f"ALTER SYSTEM SET {setting}")
        await command(self.uri("postgres"), "SELECT pg_reload_conf()")
        await command(self.uri("postgres"), f"CREATE DATABASE {_TEMPLATE}")
        await _migrate(self.uri(_TEMPLATE))
        connection = await asyncpg.connect(self.uri(_TEMPLATE))
        try:
            self._tables = dict(await connection.fetch(_TABLES))
            self._pristine = await self._seen(connection)
        finally:
            await connection.close()

    async def take(self) -> str:
        """The name of a database. Give it back."""
        if self._free:
            return self._free.pop()
        name = f"test_{uuid.uuid4().hex}"
        await command(self.uri("postgres"), f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return name

    async def give_back(self, name: str) -> None:
        """Empty it for the next test, or drop it if the test changed more than rows and added tables."""
        if await self._emptied(name):
            self._free.append(name)
        else:
            await command(self.uri("postgres"), f"DROP DATABASE {name} WITH (FORCE)")

    async def _emptied(self, name: str) -> bool:
        try:
            connection = await asyncpg.connect(self.uri(name))
        except (asyncpg.PostgresError, OSError):
            return False
        try:
            await connection.execute(_END_OTHERS)
            tables = dict(await connection.fetch(_TABLES))
            if own := tables.keys() - self._tables.keys():
                await connection.execute(f"DROP TABLE {', '.join(own)} CASCADE")
            if used := [name for name, is_used in tables.items() if is_used and self._tables.get(name) is False]:
                await connection.execute(f"TRUNCATE {', '.join(used)} RESTART IDENTITY CASCADE")
            await connection.execute(_FORGET_STATISTICS)
            return await self._seen(connection) == self._pristine
        except asyncpg.PostgresError:
            return False
        finally:
            await connection.close()

    async def _seen(self, connection: asyncpg.Connection) -> list[Any]:
        """The shape, and the few rows that a migration writes."""
        written = [name for name, is_written in self._tables.items() if is_written]
        rows = [await connection.fetch(f"SELECT * FROM {name} ORDER BY 1") for name in written]  # noqa: S608
        return [await connection.fetchrow(_SHAPE), rows]


async def _migrate(url: str) -> None:
    """As a store does that is opened, but with more patience than the product has: all tests depend on it."""
    database = connect_once(Server(parse(f"{url}&connect_timeout={_CONNECT_SECONDS}")))
    async with database.begin() as connection:
        await connection.run_sync(migrating.prepare, keys("test"))


@contextmanager
def pristine_databases() -> Iterator[PristineDatabases]:
    """Call outside of any event loop."""
    with bundled_server() as server:
        databases = PristineDatabases(server.uri)
        asyncio.run(databases.prepare())
        yield databases
