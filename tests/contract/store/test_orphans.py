"""Leases of dead nodes are shortened: their streams ended with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.ports.nodes import Node
from kernel_service.ports.outbox import SENDING_SECONDS, AckResult
from kernel_service.storage.schema.outbox import reply
from tests.contract.store.outbox import CHANNEL, LEASE_SECONDS, NOW, Chat, ack, lapse, pull, puller
from tests.contract.store.test_media import WANTED, send

if TYPE_CHECKING:
    from kernel_service.ports.outbox import Lease
    from kernel_service.storage.store import Store

SCHEMA = 1000
SOON = NOW + SENDING_SECONDS


async def in_hand(store: Store, name: str, node: str) -> Lease:
    await (await Chat(store, f"test:{name}").write()).tell("hello")
    [lease] = await pull(store, node=node)
    return lease


async def expire(store: Store) -> list[str]:
    return await store.outbox.expire_orphans(until=SOON, now=NOW)


async def ends(store: Store, *leases: Lease) -> list[float | None]:
    return await store.outbox.leased_until([(lease.reply.id, lease.token) for lease in leases])


async def test_only_the_leases_of_dead_nodes_are_shortened(store: Store) -> None:
    for node in ("n_1", "n_2"):
        await store.nodes.join(Node(node, "", SCHEMA), alone=False)
    first, second = await in_hand(store, "anna", "n_1"), await in_hand(store, "bruno", "n_2")
    await expire(store)
    assert await ends(store, first, second) == [NOW + LEASE_SECONDS] * 2
    await store.nodes.leave("n_1")
    for _ in range(2):
        assert await expire(store) == []
    assert await ends(store, first, second) == [SOON, NOW + LEASE_SECONDS]


async def test_a_lease_that_ends_earlier_stays_as_it_is(store: Store) -> None:
    await (await Chat(store, "test:anna").write()).tell("hello")
    [lease] = await pull(store, seconds=5)
    await expire(store)
    assert await ends(store, lease) == [NOW + 5]


async def test_a_lease_of_an_earlier_release_names_no_node(store: Store) -> None:
    await store.nodes.join(Node("n_1", "", SCHEMA), alone=False)
    lease = await in_hand(store, "anna", "n_1")
    old = lease.token[:17] + lease.token[34:]
    await store.engine.write(lambda tx: tx.execute(reply.update().values(token=old)))
    await expire(store)
    assert await store.outbox.leased_until([(lease.reply.id, old)]) == [SOON]
    assert await store.outbox.extend_leases(CHANNEL, [(lease.reply.id, old)], until=SOON + 9, now=NOW) == [True]
    assert await ack(store, lease, token=old) is AckResult.RECORDED


async def test_an_orphan_is_sent_again_only_after_its_doubt(store: Store) -> None:
    lease = await in_hand(store, "anna", "n_1")
    await expire(store)
    await lapse(store, now=SOON)
    assert await pull(store, now=SOON) == []
    await lapse(store, now=SOON + 1)
    assert await pull(store, now=SOON + 1) == []
    assert await ack(store, lease, now=SOON + 1) is AckResult.RECORDED
    assert await pull(store, now=SOON + 1000) == []


async def test_a_file_that_a_dead_node_leased_is_asked_for_again_at_once(store: Store) -> None:
    await store.nodes.join(Node("n_2", "", SCHEMA), alone=False)
    await send(store, WANTED)
    [wanted] = await store.media.lease(await puller(store, node="n_1"), [], limit=9, seconds=30, now=NOW)
    assert await expire(store) == [CHANNEL]
    assert await store.media.leased_until([(wanted.media_id, wanted.token)]) == [None]
    [again] = await store.media.lease(await puller(store, node="n_2"), [], limit=9, seconds=30, now=NOW)
    assert again.media_id == wanted.media_id
    assert await expire(store) == []
    assert await store.media.leased_until([(again.media_id, again.token)]) == [NOW + 30]
