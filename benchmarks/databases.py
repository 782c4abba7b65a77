"""Databases for one run: a new one for each pair, removed at the end."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import asyncpg

from tests.bundled_postgres import server_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    NewDatabase = Callable[[], str]


@contextmanager
def sqlite(folder: Path) -> Iterator[NewDatabase]:
    numbers = count()
    yield lambda: f"sqlite:///{folder}/kernel{next(numbers)}.db"


@contextmanager
def postgres(folder: Path) -> Iterator[NewDatabase]:
    """A real server from its wheel, with its defaults: every commit is durable."""
    numbers = count()
    folder.chmod(0o755)  # the server runs as another user
    data = folder / "postgres"
    data.mkdir()
    with server_in(data) as server:

        def new() -> str:
            name = f"bench{next(numbers)}"
            asyncio.run(_create(server.uri("postgres"), name))
            return server.uri(name)

        yield new


async def _create(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
