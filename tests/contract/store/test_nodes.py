"""Nodes: the kernel services of one database, their beats, and the removal of those that are dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from kernel_service.ports.nodes import GAP_SECONDS, LAPSE_SECONDS, Node
from kernel_service.storage.opening.migrating import SCHEMA_NUMBER
from kernel_service.storage.schema.service import node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store


def named(name: str) -> Node:
    return Node(name, f"{name}:50051", SCHEMA_NUMBER)


async def joined(store: Store, *names: str) -> None:
    for name in names:
        await store.nodes.join(named(name), alone=False)


async def silent(store: Store, name: str, seconds: float) -> None:
    """Its last beat was this number of seconds ago."""
    await _shift(store, name, beat_at=seconds)


async def regular(store: Store, *names: str, seconds: float = LAPSE_SECONDS + 1) -> None:
    for name in names:
        await _shift(store, name, since=seconds)


async def _shift(store: Store, name: str, **by: float) -> None:
    def shift(tx: Tx) -> None:
        tx.execute(
            update(node).where(node.c.id == name).values({column: node.c[column] - s for column, s in by.items()})
        )

    await store.engine.write(shift)


async def beat(store: Store, name: str, channels: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """The live nodes and the removed ones."""
    seen = await store.nodes.beat(name, channels)
    assert seen is not None
    return [one.id for one in seen.nodes], list(seen.removed)


async def test_each_beat_shows_the_live_nodes_the_oldest_first(store: Store) -> None:
    await joined(store, "b", "a")
    assert await beat(store, "a", ["whatsapp", "email", "email"]) == (["b", "a"], [])
    seen = await store.nodes.beat("b", [])
    assert seen is not None
    assert [one.channels for one in seen.nodes] == [(), ("email", "whatsapp")]
    assert seen.nodes[0].address == "b:50051"
    assert seen.now >= seen.nodes[1].started_at


async def test_a_regular_node_removes_a_silent_one(store: Store) -> None:
    await joined(store, "a", "dead")
    await regular(store, "a")
    await silent(store, "dead", LAPSE_SECONDS + 0.5)
    assert await beat(store, "a") == (["a"], ["dead"])
    assert await store.nodes.beat("dead", []) is None


async def test_a_node_that_is_late_but_alive_stays(store: Store) -> None:
    await joined(store, "a", "late")
    await regular(store, "a")
    await silent(store, "late", LAPSE_SECONDS - 0.5)
    assert await beat(store, "a") == (["a", "late"], [])


@pytest.mark.parametrize("pause", [GAP_SECONDS + 0.5, 3600.0])
async def test_after_a_pause_of_the_database_no_node_is_removed(store: Store, pause: float) -> None:
    await joined(store, "a", "b", "c")
    await regular(store, "a", "b", "c")
    for name in ("a", "b", "c"):
        await silent(store, name, pause)
    for name in ("a", "b", "c", "a", "b", "c"):
        assert (await beat(store, name))[1] == []


@pytest.mark.parametrize("uptime", [LAPSE_SECONDS + 1, 7200.0])
@pytest.mark.parametrize("back", [LAPSE_SECONDS + 0.5, 3600.0])
async def test_a_clock_of_the_database_that_was_set_back_hides_no_death(
    store: Store, back: float, uptime: float
) -> None:
    """As after a failover to a standby whose clock is behind. The living nodes stay."""
    await joined(store, "a", "b", "dead")
    await regular(store, "a", "b", seconds=uptime)
    for name in ("a", "b", "dead"):
        await _shift(store, name, since=-back, beat_at=-back)
    for name in ("a", "b"):
        assert (await beat(store, name))[1] == []
    await regular(store, "a")
    assert await beat(store, "a") == (["a", "b"], ["dead"])


async def test_a_node_that_has_just_joined_removes_none(store: Store) -> None:
    await joined(store, "dead", "a")
    await silent(store, "dead", LAPSE_SECONDS + 60)
    assert await beat(store, "a") == (["dead", "a"], [])


async def test_a_process_that_is_alone_removes_all_before_it(store: Store) -> None:
    await joined(store, "a", "b")
    seen = await store.nodes.join(named("c"), alone=True)
    assert sorted(seen.removed) == ["a", "b"]
    assert [one.id for one in seen.nodes] == ["c"]


async def test_a_draining_node_is_still_seen_and_one_that_left_is_not(store: Store) -> None:
    await joined(store, "a", "b")
    await store.nodes.drain("a")
    seen = await store.nodes.beat("b", [])
    assert seen is not None
    assert [(one.id, one.is_draining) for one in seen.nodes] == [("a", True), ("b", False)]
    await store.nodes.leave("a")
    assert await beat(store, "b") == (["b"], [])


async def test_a_node_announces_its_address_when_it_serves(store: Store) -> None:
    await store.nodes.join(Node("a", "", SCHEMA_NUMBER), alone=False)
    await store.nodes.announce("a", "10.0.0.7:50051")
    seen = await store.nodes.beat("a", [])
    assert seen is not None
    assert [one.address for one in seen.nodes] == ["10.0.0.7:50051"]


async def test_each_beat_shows_for_how_long_the_others_are_silent(store: Store) -> None:
    await joined(store, "a", "b")
    await silent(store, "b", 2.0)
    seen = await store.nodes.beat("a", [])
    assert seen is not None
    assert [one.silence for one in seen.nodes] == [pytest.approx(0.0, abs=0.5), pytest.approx(2.0, abs=0.5)]
