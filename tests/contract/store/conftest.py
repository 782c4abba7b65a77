"""Every test of this folder runs on SQLite and on a real PostgreSQL, each on a separate database."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kernel_service.storage.engine.database_url import is_sqlite
from kernel_service.storage.opening.open_store import open_store
from tests.master_keys import key_setting, keys
from tests.migrated_sqlite import copy_migrated
from tests.pristine_postgres import command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kernel_service.storage.store import Store

__all__ = ["command", "key_setting", "keys"]


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
    opened = await open_store(database_url, keys("test"), pool=6)
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
