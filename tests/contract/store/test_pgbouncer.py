"""A PgBouncer in front of PostgreSQL: what works behind it, and the error when a requirement is missing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_service.storage.engine import pooler
from kernel_service.storage.engine.pooler import SessionKind
from kernel_service.storage.engine.postgres_server import Server
from kernel_service.storage.engine.postgres_url import parse
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.opening.postgres import DatabaseUnfitError
from tests.contract.store.conftest import command, keys
from tests.contract.store.owner import history, own, say
from tests.postgres_servers import bouncer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PEOPLE = 30
SETTINGS = {
    "as it comes": {},
    "in turns": {"server_round_robin": "1"},
    "one server": {"default_pool_size": "1"},
}


@pytest.fixture(params=SETTINGS)
def transactions(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[str]:
    """The URL of one that gives each transaction another session."""
    with bouncer(postgres_url, "transaction", **SETTINGS[request.param]) as running:
        yield running.url


@pytest.fixture
def sessions(postgres_url: str) -> Iterator[str]:
    with bouncer(postgres_url, "session") as running:
        yield running.url


async def work(url: str, message_id: str = "m1", **more: str) -> None:
    """Many people at once, more than there are connections."""
    store = await open_store(url, keys("test"), **more)  # type: ignore[arg-type]

    async def answered(number: int) -> str:
        owner = await own(store, await say(store, message_id, f"test:{number}"))
        await owner.end(await owner.open())
        return owner.person_id

    people = await asyncio.gather(*map(answered, range(PEOPLE)))
    assert len(set(people)) == PEOPLE
    await asyncio.gather(*(history(store, person_id) for person_id in people))
    await store.close()


async def test_without_a_pooler(postgres_url: str) -> None:
    assert await pooler.session_kind(Server(parse(postgres_url))) is SessionKind.DIRECT


async def test_with_dedicated_sessions(sessions: str) -> None:
    assert await pooler.session_kind(Server(parse(sessions))) is SessionKind.KEPT
    await work(sessions)


async def test_a_session_per_transaction(
    transactions: str, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await pooler.session_kind(Server(parse(transactions))) is SessionKind.PER_TRANSACTION
    with pytest.raises(DatabaseUnfitError, match="KERNEL_DATABASE_DIRECT_URL leads to a pooler in transaction mode"):
        await open_store(transactions, keys("test"), direct_url=transactions)
    await work(transactions)
    [warning] = [record.getMessage() for record in caplog.records]
    assert "Set KERNEL_DATABASE_DIRECT_URL" in warning
    await work(transactions, "m2", direct_url=postgres_url)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("limit", ["100ms", "1s"])
async def test_a_schema_is_made_through_a_session_per_transaction(
    postgres: Callable[[str], str], empty_postgres_url: str, limit: str
) -> None:
    name = empty_postgres_url.partition("?")[0].rpartition("/")[2]
    await command(postgres("postgres"), f"ALTER DATABASE {name} SET statement_timeout = '{limit}'")
    with bouncer(empty_postgres_url, "transaction") as running:
        stores = await asyncio.gather(*(open_store(running.url, keys("test"), pool=2) for _ in range(2)))
        for store in stores:
            await store.close()


async def test_both_urls_must_lead_to_the_same_database(
    postgres: Callable[[str], str], postgres_url: str, empty_postgres_url: str
) -> None:
    await command(postgres("postgres"), "SELECT 1")
    with (
        bouncer(postgres_url, "transaction") as running,
        pytest.raises(DatabaseUnfitError, match="lead to different databases"),
    ):
        await open_store(running.url, keys("test"), direct_url=empty_postgres_url)


@pytest.mark.parametrize(
    ("mode", "settings", "says"),
    [
        ("statement", {}, "transaction blocks not allowed in statement pooling mode"),
        ("session", {"default_pool_size": "5"}, "of 10 connections [0-9] were granted.*KERNEL_DATABASE_POOL"),
        ("session", {"max_client_conn": "6"}, "of 10 connections [0-9] were granted.*no more connections allowed"),
        ("session", {"max_client_conn": "1"}, "no more connections allowed"),
    ],
)
async def test_a_missing_requirement_is_reported(
    postgres_url: str, mode: str, settings: dict[str, str], says: str
) -> None:
    with bouncer(postgres_url, mode, **settings) as running, pytest.raises(DatabaseUnfitError, match=says):
        await open_store(running.url, keys("test"))
