"""Two releases on one PostgreSQL: a migration runs beside older nodes only if they can use its schema."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import asyncpg
import pytest
from sqlalchemy import Connection, insert, text, update

from kernel_service.ports.nodes import LAPSE_SECONDS, Node
from kernel_service.storage.nodes import schema_guard
from kernel_service.storage.nodes.schema_guard import OlderNodesError, SchemaTooNewError
from kernel_service.storage.opening import migrating
from kernel_service.storage.opening import postgres as opening
from kernel_service.storage.opening.migrating import SCHEMA_NUMBER
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.opening.postgres import DatabaseUnfitError
from kernel_service.storage.schema.schema import schema_version
from kernel_service.storage.schema.service import node
from kernel_service.storage.schema.times import DatabaseTime
from tests.contract.store.conftest import command, keys
from tests.contract.store.owner import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kernel_service.storage.store import Store

NEXT = SCHEMA_NUMBER + 1


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    """Of the older release."""
    opened = await open_store(postgres_url, keys("test"), pool=2)
    yield opened
    await opened.close()


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make this program the next release, whose migration adds a column."""

    def become(oldest_reader: int) -> None:
        def upgrade(connection: Connection) -> None:
            connection.execute(text("ALTER TABLE chat ADD COLUMN hue varchar"))
            connection.execute(insert(schema_version), {"number": NEXT, "oldest_reader": oldest_reader})

        monkeypatch.setattr(migrating, "SCHEMA_NUMBER", NEXT)
        monkeypatch.setattr(migrating, "OLDEST_READER", oldest_reader)
        monkeypatch.setattr(migrating, "upgrade", upgrade)

    return become


async def joined(store: Store, name: str, *, silent: float = 0, schema: int = SCHEMA_NUMBER) -> None:
    await store.nodes.join(Node(name, f"{name}:50051", schema), alone=False)
    await store.engine.write(
        lambda tx: tx.execute(update(node).where(node.c.id == name).values(beat_at=node.c.beat_at - silent)).rowcount
    )


async def upgraded(url: str) -> None:
    await (await open_store(url, keys("test"), pool=2)).close()


async def number_of(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT max(number) FROM schema_version"))
    finally:
        await connection.close()


async def test_a_live_older_node_is_named_and_keeps_its_schema(
    store: Store, postgres_url: str, release: Callable[[int], None]
) -> None:
    await joined(store, "k_old")
    await joined(store, "k_leaving")
    await store.nodes.drain("k_leaving")
    release(NEXT)
    with pytest.raises(OlderNodesError, match=rf"k_leaving .*, k_old \(k_old:50051, schema {SCHEMA_NUMBER}\)\. End"):
        await upgraded(postgres_url)
    assert await number_of(postgres_url) == SCHEMA_NUMBER
    await store.nodes.leave("k_old")
    await store.nodes.leave("k_leaving")
    await upgraded(postgres_url)
    assert await number_of(postgres_url) == NEXT


async def test_a_process_of_the_older_release_runs_on(postgres_url: str, release: Callable[[int], None]) -> None:
    """It is refused no heartbeat, and leaves in order."""
    running = [sys.executable, "-m", "tests.contract.store.beating_process", postgres_url]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*running, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    name = (await process.stdout.readline()).decode().strip()
    release(NEXT)
    with pytest.raises(OlderNodesError, match=name):
        await upgraded(postgres_url)
    release(SCHEMA_NUMBER)
    await upgraded(postgres_url)
    assert await number_of(postgres_url) == NEXT
    process.stdin.close()
    assert await process.wait() == 0


async def test_many_live_older_nodes_are_counted(
    store: Store, postgres_url: str, release: Callable[[int], None]
) -> None:
    for name in range(7):
        await joined(store, f"k_{name}")
    release(NEXT)
    with pytest.raises(OlderNodesError, match=r"k_4 \(.*\) and 2 more\. End them"):
        await upgraded(postgres_url)


async def test_an_expanding_migration_runs_beside_older_nodes(
    store: Store, postgres_url: str, release: Callable[[int], None]
) -> None:
    await joined(store, "k_old")
    release(SCHEMA_NUMBER)
    writing = [asyncio.ensure_future(say(store, f"m{number}")) for number in range(50)]
    await upgraded(postgres_url)
    assert len(set(await asyncio.gather(*writing))) == 1
    assert await number_of(postgres_url) == NEXT
    await say(store, "later")
    assert await store.nodes.beat("k_old", []) is not None


@pytest.mark.parametrize("ends", [True, False])
async def test_a_table_in_use_delays_the_migration_and_not_the_others(
    postgres_url: str, release: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    """A statement that waits for a table makes all later ones wait, so it waits briefly and often."""
    monkeypatch.setattr(migrating, "_HURRIED", text("SELECT set_config('lock_timeout', '50ms', true)"))
    monkeypatch.setattr(opening, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(opening, "_TRIES", 1000 if ends else 3)
    release(SCHEMA_NUMBER)
    user = await asyncpg.connect(postgres_url)
    await user.execute("BEGIN; LOCK TABLE chat IN ACCESS SHARE MODE")
    upgrading = asyncio.ensure_future(upgraded(postgres_url))
    if ends:
        await asyncio.wait([upgrading], timeout=0.2)
        assert not upgrading.done()
        await user.execute("COMMIT")
        await upgrading
    else:
        with pytest.raises(DatabaseUnfitError, match="another transaction keeps its tables locked"):
            await upgrading
    await user.close()


async def test_a_dead_older_node_loses_its_row(
    store: Store, postgres_url: str, release: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It might be frozen only. It ends if it continues."""
    monkeypatch.setattr(schema_guard, "_WAIT", text("SELECT 1"))
    await joined(store, "k_old", silent=LAPSE_SECONDS + 1)
    release(NEXT)
    await upgraded(postgres_url)
    assert await store.nodes.beat("k_old", []) is None


async def test_a_node_that_beats_again_after_an_outage_is_alive(
    store: Store, postgres_url: str, release: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema_guard, "_WAIT", update(node).values(beat_at=DatabaseTime()))
    await joined(store, "k_old", silent=3600)
    release(NEXT)
    with pytest.raises(OlderNodesError, match="k_old"):
        await upgraded(postgres_url)


async def test_a_node_that_starts_during_the_migration_is_refused(
    store: Store, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has found a schema that it can use, and not yet joined."""
    migrates = await asyncpg.connect(postgres_url)
    await migrates.execute(f"BEGIN; {schema_guard.LOCK.text}")
    joining = asyncio.ensure_future(store.nodes.join(Node("k_old", "", SCHEMA_NUMBER), alone=False))
    await asyncio.wait([joining], timeout=0.1)
    assert not joining.done()
    await migrates.execute("INSERT INTO schema_version VALUES ($1, $1)", NEXT)
    await migrates.execute("COMMIT")
    await migrates.close()
    with pytest.raises(SchemaTooNewError, match=f"of schema {SCHEMA_NUMBER}: upgrade it"):
        await joining
    assert (await store.nodes.join(Node("k_new", "", NEXT), alone=False)).nodes[0].id == "k_new"


async def test_the_one_process_of_an_earlier_release_is_not_overtaken(postgres_url: str) -> None:
    """It holds a lock, and has no row."""
    await command(postgres_url, "DELETE FROM schema_version; INSERT INTO schema_version VALUES (26, 26)")
    earlier = await asyncpg.connect(postgres_url)
    await earlier.execute(f"SELECT pg_advisory_lock({0x6B65726E656C})")
    with pytest.raises(OlderNodesError, match="a process of an earlier release uses the database"):
        await upgraded(postgres_url)
    await earlier.close()
