"""The database of a long run: a SQLite file, or a separate PostgreSQL server with durable commits."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tests.bundled_postgres import bundled_server
from tests.contract.store.conftest import command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bundled_postgres import BundledServer

_NAME = "crash"


@contextmanager
def server(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database. Call outside of any event loop."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/kernel.db"
        return
    with postgres_server() as running:
        yield running.url


class Postgres:
    """A PostgreSQL server that a test can stop and start again. `url` is that of an empty database."""

    name: Final = "postgresql"

    def __init__(self, server: BundledServer, database: str) -> None:
        self._server = server
        self.url = server.uri(database)

    async def another(self, name: str) -> Postgres:
        """A new database of this server."""
        await command(self.url, f"CREATE DATABASE {name}")
        return Postgres(self._server, name)

    async def stop(self) -> None:
        """As if killed: see `BundledServer.stop`."""
        await asyncio.to_thread(self._server.stop)

    async def start(self) -> None:
        await asyncio.to_thread(self._server.start)


@contextmanager
def postgres_server(*, durable: bool = True) -> Iterator[Postgres]:
    """A running server. Call outside of any event loop. Without `durable`, only a crash of the machine loses data."""
    with bundled_server() as running:
        asyncio.run(_prepare(running.uri("postgres"), durable=durable))
        yield Postgres(running, _NAME)


async def _prepare(url: str, *, durable: bool) -> None:
    await command(url, f"CREATE DATABASE {_NAME}")
    if not durable:
        await command(url, "ALTER SYSTEM SET fsync = off")
        await command(url, "SELECT pg_reload_conf()")
