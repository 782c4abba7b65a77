"""A process of a channel releases leases that never reached it. On every engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kernel_service.ports.outbox import AckResult, Outcome
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys
from tests.contract.store.outbox import CHANNEL, LEASE_SECONDS, NOW, Chat, ack, lapse, pull, pulled_texts, puller

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

MINE = "gateway-1"


async def told(store: Store, *names: str) -> list[str]:
    """One reply to each, by their name."""
    return [await (await Chat(store, f"test:{name}").write()).tell(name) for name in names]


async def test_leases_that_never_arrived_are_leased_again_at_once(store: Store) -> None:
    await told(store, "anna", "bruno")
    await pull(store)
    assert await pulled_texts(store) == []
    assert await store.outbox.release_leases(CHANNEL, MINE, []) == 2
    assert await pulled_texts(store) == ["anna", "bruno"]


async def test_a_lease_in_progress_stays_leased(store: Store) -> None:
    anna, _ = await told(store, "anna", "bruno")
    [in_hand, _] = await pull(store)
    assert await store.outbox.release_leases(CHANNEL, MINE, [anna]) == 1
    assert await pulled_texts(store) == ["bruno"]
    assert await ack(store, in_hand, Outcome.RETRY, retry_after=0) is AckResult.RECORDED


async def test_settled_replies_and_doubts_are_not_released(store: Store) -> None:
    await told(store, "anna", "bruno", "carla")
    first, second, _ = await pull(store)
    await ack(store, first)
    await ack(store, second, Outcome.UNKNOWN)
    assert await lapse(store, now=NOW + LEASE_SECONDS + 1) == 1
    assert await store.outbox.release_leases(CHANNEL, MINE, []) == 0
    assert await pull(store, now=NOW + LEASE_SECONDS + 1) == []


async def test_other_processes_keep_their_leases(store: Store) -> None:
    await told(store, "anna")
    await pull(store, instance="gateway-11")
    assert await store.outbox.release_leases(CHANNEL, MINE, []) == 0
    assert await store.outbox.release_leases("other", "gateway-11", []) == 0
    assert await store.outbox.release_leases(CHANNEL, "gateway-11", []) == 1


async def test_after_the_release_a_failure_is_stale_and_a_success_counts(store: Store) -> None:
    await told(store, "anna")
    [lease] = await pull(store)
    await store.outbox.release_leases(CHANNEL, MINE, [])
    assert await ack(store, lease, Outcome.FAILED) is AckResult.STALE
    assert await ack(store, lease) is AckResult.RECORDED
    assert await pull(store) == []


async def test_sent_parts_are_not_sent_again(store: Store) -> None:
    await told(store, "anna")
    [lease] = await pull(store)
    await ack(store, lease, part=1, parts=2)
    await store.outbox.release_leases(CHANNEL, MINE, [])
    [again] = await pull(store, instance="gateway-2")
    assert again.sent_parts == [1]


async def test_a_release_waits_for_a_lease_in_the_writers_queue(store: Store) -> None:
    await told(store, *(f"{number}" for number in range(20)))
    stream = await puller(store)
    leasing = asyncio.ensure_future(store.outbox.lease(stream, [], limit=100, seconds=LEASE_SECONDS, now=NOW))
    await asyncio.sleep(0)  # it is in the writer's queue
    assert await store.outbox.release_leases(CHANNEL, MINE, []) == 20
    assert len(await leasing or []) == 20
    assert len(await pull(store, instance="gateway-2")) == 20


async def test_a_restart_in_between_changes_nothing(database_url: str) -> None:
    before = await open_store(database_url, keys("test"))
    await told(before, "anna")
    await pull(before)
    await before.close()
    after = await open_store(database_url, keys("test"))
    assert await after.outbox.release_leases(CHANNEL, MINE, []) == 1
    assert await pulled_texts(after) == ["anna"]
    await after.close()
