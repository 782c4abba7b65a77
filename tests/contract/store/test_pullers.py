"""A release of an instance's leases ends its open streams at all nodes: they lease nothing further."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg

from kernel_service.ports.messages import Reply, ReplyMode, Usage
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys
from tests.contract.store.outbox import CHANNEL, LEASE_SECONDS, NOW, Chat, offer, pull, puller
from tests.contract.store.owner import own, say
from tests.contract.store.test_media import WANTED, send

if TYPE_CHECKING:
    from kernel_service.ports.outbox import Lease, Puller
    from kernel_service.storage.store import Store

MINE = "gateway-1"
DAY_SECONDS = 86_400


async def lease(store: Store, stream: Puller) -> list[Lease] | None:
    return await store.outbox.lease(stream, [], limit=9, seconds=LEASE_SECONDS, now=NOW)


async def release(store: Store, *in_hand: str, instance: str = MINE, channel: str = CHANNEL) -> int:
    return await store.outbox.release_leases(channel, instance, in_hand)


async def test_streams_that_were_open_at_a_release_lease_nothing(store: Store) -> None:
    await (await Chat(store, "test:anna").write()).tell("hello")
    before = [await puller(store, node=node) for node in ("n_1", "n_2")]
    await release(store)
    assert [await lease(store, stream) for stream in before] == [None, None]
    later = await puller(store, node="n_2")
    assert len(await lease(store, later) or []) == 1


async def test_two_streams_of_an_instance_do_not_end_each_other(store: Store) -> None:
    first, second = [await puller(store, node=node) for node in ("n_1", "n_2")]
    assert [await lease(store, stream) for stream in (first, second)] == [[], []]


async def test_a_release_ends_no_stream_of_another_instance_or_channel(store: Store) -> None:
    streams = [await puller(store, instance="gateway-2"), await puller(store, "other")]
    await release(store)
    assert [await lease(store, stream) for stream in streams] == [[], []]


async def test_a_release_before_the_first_stream_ends_none(store: Store) -> None:
    assert await release(store) == 0
    assert await lease(store, await puller(store)) == []


async def test_an_offer_of_a_released_stream_leases_nothing(store: Store) -> None:
    owner = await own(store, await say(store, "m1", "test:ann", reply_mode=ReplyMode.OUTBOX, address="desk"))
    turn = await owner.open()
    offered = await offer(store)
    await release(store)
    ended = await store.turns.end(
        turn, owner.epoch, [], [Reply("done")], status=TurnStatus.COMPLETED, usage=Usage(), offer=offered, now=NOW
    )
    assert (ended.stored.lease, ended.stored.is_pending) == (None, True)
    assert len(await pull(store)) == 1


async def test_a_released_stream_leases_no_files(store: Store) -> None:
    await send(store, WANTED)
    stream = await puller(store)
    await release(store)
    assert await store.media.lease(stream, [], limit=9, seconds=30, now=NOW) == []
    assert len(await store.media.lease(await puller(store), [], limit=9, seconds=30, now=NOW)) == 1


async def test_leases_of_all_nodes_are_released(store: Store) -> None:
    for name, node in (("anna", "n_1"), ("bruno", "n_2")):
        await (await Chat(store, f"test:{name}").write()).tell("hello")
        await pull(store, node=node)
    assert await release(store) == 2


async def test_an_instance_that_was_not_seen_for_long_is_deleted(store: Store) -> None:
    stream = await puller(store)
    await store.retention.forget_old(now=NOW + 29 * DAY_SECONDS)
    assert await lease(store, stream) == []
    await store.retention.forget_old(now=NOW + 31 * DAY_SECONDS)
    assert await lease(store, stream) is None
    assert await lease(store, await puller(store)) == []


async def test_a_release_comes_after_a_lease_in_progress_at_another_node(postgres_url: str) -> None:
    store = await open_store(postgres_url, keys("test"))
    reply_id = await (await Chat(store, "test:anna").write()).tell("hello")
    [leased] = await pull(store)
    await store.outbox.release([(reply_id, leased.token)])
    other = await asyncpg.connect(postgres_url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT generation FROM puller WHERE instance = $1 FOR SHARE", MINE)
    await other.execute("UPDATE reply SET state = 'leased', token = $2 WHERE id = $1", reply_id, leased.token)
    releasing = asyncio.ensure_future(release(store))
    while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        await asyncio.sleep(0)
    await transaction.commit()
    assert await releasing == 1
    await other.close()
    await store.close()
