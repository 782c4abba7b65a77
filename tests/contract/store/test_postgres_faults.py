"""A misconfigured PostgreSQL: reported at start, or recovered while running, without loss."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from kernel_service.errors import StoreUnavailable
from kernel_service.storage.engine import postgres_connections
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.opening.postgres import DatabaseUnfitError
from tests.contract.store.conftest import command, keys
from tests.contract.store.owner import say
from tests.postgres_servers import bouncer

_END_ALL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " ORDER BY pid = pg_backend_pid()"
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kernel_service.storage.engine.engine import Tx


@pytest.fixture
async def visitor(postgres: Callable[[str], str]) -> AsyncIterator[str]:
    """A role that may log in, and nothing else."""
    name = f"visitor_{uuid.uuid4().hex[:8]}"
    await command(postgres("postgres"), f"CREATE ROLE {name} LOGIN")
    yield name
    await command(postgres("postgres"), f"DROP ROLE {name}")


def as_user(url: str, user: str) -> str:
    return url.replace("://postgres:@", f"://{user}@")


async def test_a_user_without_permission_to_create_tables(empty_postgres_url: str, visitor: str) -> None:
    with pytest.raises(DatabaseUnfitError, match=r"may not create tables.*GRANT USAGE, CREATE ON SCHEMA"):
        await open_store(as_user(empty_postgres_url, visitor), keys("test"))


async def test_a_search_path_without_a_schema(empty_postgres_url: str) -> None:
    with pytest.raises(DatabaseUnfitError, match="may not create tables in its schema"):
        await open_store(f"{empty_postgres_url}&options=-c%20search_path%3Dnowhere", keys("test"))


async def test_too_few_connections_for_the_pool(postgres_url: str, visitor: str) -> None:
    """The role's connection limit is too low for the pool; a smaller pool works."""
    await command(postgres_url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {visitor}")
    await command(postgres_url, f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {visitor}")
    await command(postgres_url, f"ALTER ROLE {visitor} CONNECTION LIMIT 6")
    url = as_user(postgres_url, visitor)
    try:
        with pytest.raises(DatabaseUnfitError, match=r"of 10 connections 5 were granted \(too many connections"):
            await open_store(url, keys("test"))
        store = await open_store(url, keys("test"), pool=4)
        await say(store, "m1")
        await store.close()
    finally:
        await command(postgres_url, f"DROP OWNED BY {visitor}")


@pytest.mark.parametrize("mode", ["", "transaction"])
async def test_the_servers_defaults_do_not_weaken_a_commit(
    postgres: Callable[[str], str], postgres_url: str, mode: str
) -> None:
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    for weaker in ("synchronous_commit = off", "default_transaction_isolation = serializable"):
        await command(postgres("postgres"), f"ALTER DATABASE {name} SET {weaker}")

    def settings(tx: Tx) -> list[Any]:
        names = ("synchronous_commit", "transaction_isolation", "idle_in_transaction_session_timeout", "lock_timeout")
        return [tx.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one() for name in names]

    with bouncer(postgres_url, mode) if mode else contextlib.nullcontext() as running:
        store = await open_store(running.url if running else postgres_url, keys("test"), pool=2)
        assert await store.engine.write(settings) == ["on", "read committed", "2s", "100ms"]
        await store.close()


async def test_a_read_only_server_is_reported_at_start(postgres: Callable[[str], str], postgres_url: str) -> None:
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    await command(postgres("postgres"), f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(DatabaseUnfitError, match="the server is read-only: a standby"):
        await open_store(postgres_url, keys("test"))


async def test_a_server_that_turns_read_only_recovers_without_a_restart(
    postgres: Callable[[str], str], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at a failover, when connections lead to a server that has become a standby."""
    monkeypatch.setattr(postgres_connections, "UNIT_SECONDS", 0.2)
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    store = await open_store(postgres_url, keys("test"))
    person_id = await say(store, "m1")
    await command(postgres("postgres"), f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await cut(postgres_url)
    with pytest.raises(StoreUnavailable):
        await say(store, "m2")
    await command(postgres("postgres"), f"ALTER DATABASE {name} RESET default_transaction_read_only")
    monkeypatch.undo()
    await say(store, "m3")
    _, waiting, _ = await store.admin.turns(person_id, limit=1, before="")
    assert len(waiting) == 2
    await store.close()


async def test_reads_do_not_fail_on_idle_connections_that_died(postgres_url: str) -> None:
    """After a restart all connections of the pool are dead, and each reader notices one."""
    store = await open_store(postgres_url, keys("test"))
    for _ in range(3):
        await cut(postgres_url)
        await store.ping()
    await store.close()


@pytest.mark.parametrize("way", ["read", "write", "write_apart", "write_alone"])
async def test_a_unit_whose_sessions_are_ended_runs_again(postgres_url: str, way: str) -> None:
    """The administrator ends every session, that of the unit while it runs."""
    store = await open_store(postgres_url, keys("test"), pool=4)
    runs: list[int] = []

    def unit(tx: Tx) -> int:
        runs.append(1)
        if len(runs) == 1:
            tx.execute(text(_END_ALL))
        return len(runs)

    assert await getattr(store.engine, way)(unit) > 1
    await store.close()


@pytest.mark.parametrize("limit", ["100ms", "1s"])
async def test_a_short_statement_timeout_does_not_stop_the_migration(empty_postgres_url: str, limit: str) -> None:
    store = await open_store(f"{empty_postgres_url}&options=-c%20statement_timeout%3D{limit}", keys("test"))
    await say(store, "m1")
    await store.close()


async def cut(url: str) -> None:
    await command(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'kernel_service' AND pid <> pg_backend_pid()",
    )


async def test_a_changed_column_disturbs_each_connection_once(postgres_url: str) -> None:
    """As after a migration beside a running process: the server refuses the statements that it prepared before."""
    store = await open_store(postgres_url, keys("test"), pool=2)
    person_id = await say(store, "hello")
    await store.chats.keep_link(person_id, "test", "desk", "https://a.example")
    assert await store.chats.link("test", "desk") == "https://a.example"
    await command(postgres_url, "ALTER TABLE chat ALTER COLUMN link TYPE varchar(100)")
    for _ in range(2):
        with contextlib.suppress(StoreUnavailable):
            await store.chats.link("test", "desk")
    assert await store.chats.link("test", "desk") == "https://a.example"
    await store.chats.keep_link(person_id, "test", "desk", "https://b.example")
    assert await store.chats.link("test", "desk") == "https://b.example"
    await store.close()
