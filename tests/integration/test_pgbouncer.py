"""The whole product on PostgreSQL behind a PgBouncer. Both restart during the conversation."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.crash.databases import server
from tests.integration.world import whole_world
from tests.postgres_servers import bouncer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.world import World
    from tests.postgres_servers import Bouncer


@pytest.fixture
def database_url(tmp_path: Path) -> Iterator[str]:
    with server("postgresql", tmp_path) as url:
        yield url


@pytest.fixture
def before_it(database_url: str) -> Iterator[Bouncer]:
    """It gives each transaction another session."""
    with bouncer(database_url, "transaction") as running:
        yield running


@contextmanager
def away(bouncer: Bouncer) -> Iterator[None]:
    bouncer.stop()
    yield
    bouncer.start()


async def cut(database_url: str) -> None:
    """End every connection at once, as a restart of the server does."""
    parts = urlsplit(database_url)
    connection = await asyncpg.connect(parts._replace(path="/postgres").geturl())
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
    await connection.fetch(ended, parts.path.lstrip("/"))
    await connection.close()


@pytest.mark.parametrize("notices", [True, False])
async def test_everybody_is_answered(before_it: Bouncer, database_url: str, tmp_path: Path, *, notices: bool) -> None:
    """Without the direct URL the service has no connection for notices, and polls."""
    settings = {
        "kernel_database_url": before_it.url,
        "kernel_database_direct_url": database_url if notices else "",
    }
    async with whole_world(tmp_path, **settings) as world:
        world.emulators.whatsapp.webhooks.backoff = lambda _: 0.2
        phones = [world.phone(f"p{number}") for number in range(3)]
        for phone in phones:
            assert "before" in (await world.ask(phone, "before")).text
        await cut(database_url)
        for phone in phones:
            assert "after" in (await world.ask(phone, "after the server's restart")).text
        with away(before_it):
            for phone in phones:
                phone.write(f"meanwhile {phone.label}")
            await asyncio.sleep(0)
        for phone in phones:
            assert f"meanwhile {phone.label}" in (await phone.wait_for_message(timeout=40)).text
            assert "later" in (await world.ask(phone, "later")).text
            assert len(phone.received) == 4


async def test_through_sessions_alone(database_url: str, tmp_path: Path) -> None:
    """The connection for notices is made again, too, when the pooler is back."""
    with bouncer(database_url, "session") as running:
        async with whole_world(tmp_path, kernel_database_url=running.url) as world:
            world.emulators.whatsapp.webhooks.backoff = lambda _: 0.2
            await _asked_through_a_restart(world, running)


async def _asked_through_a_restart(world: World, running: Bouncer) -> None:
    phone = world.phone("p")
    assert "before" in (await world.ask(phone, "before")).text
    with away(running):
        pass
    assert "after" in (await world.ask(phone, "after")).text
    assert len(phone.received) == 2
