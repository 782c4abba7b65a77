"""Reports on the same replies through two connections do not wait for each other in a circle."""

from __future__ import annotations

import asyncio
import random
import zlib
from functools import partial
from typing import TYPE_CHECKING, Final

import asyncpg
import pytest

from kernel_service.ports.outbox import AckResult, Outcome, PartAck, PartReceipt
from kernel_service.ports.states.part import PartState
from kernel_service.storage.engine.postgres import WRITERS
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.outbox import delivery
from tests.contract.store.conftest import keys
from tests.contract.store.outbox import CHANNEL, LEASE_SECONDS, NOW, Chat, lapse, pull

ROUNDS: Final = 12
REPLIES: Final = 20
if TYPE_CHECKING:
    from kernel_service.ports.outbox import Lease
    from kernel_service.storage.store import Store


def writers(count: int) -> list[str]:
    """Keys of units that the engine runs on different connections."""
    found: dict[int, str] = {}
    for number in range(1000):
        found.setdefault(zlib.crc32(str(number).encode()) % WRITERS, str(number))
    return list(found.values())[:count]


def acks(leases: list[Lease]) -> list[PartAck]:
    return [PartAck(lease.reply.id, 1, 1, "1", lease.token, Outcome.SENT, lease.reply.id) for lease in leases]


def receipts(leases: list[Lease]) -> list[PartReceipt]:
    return [PartReceipt(lease.reply.id, 1, 1, lease.reply.id, PartState.DELIVERED, "") for lease in leases]


def shuffled_pairs(leases: list[Lease]) -> list[list[Lease]]:
    drawn = random.sample(leases, len(leases))
    return [drawn[place : place + 2] for place in range(0, len(drawn), 2)]


async def test_queued_reports_through_two_nodes_wait_for_none_of_their_locks(two_nodes: tuple[Store, Store]) -> None:
    """Each node commits many reports in one transaction, in another order than the other node."""
    one, other = two_nodes
    people = [await Chat(one, f"{CHANNEL}:user{number}").write() for number in range(3 * REPLIES)]
    told = [await person.tell("hello") for person in people]
    leases = await pull(one)
    await asyncio.gather(
        *(one.outbox.settle(CHANNEL, acks(some), now=NOW) for some in shuffled_pairs(leases)),
        *(other.outbox.receive(CHANNEL, receipts(some), now=NOW) for some in shuffled_pairs(leases)),
        *(other.outbox.settle(CHANNEL, acks(some), now=NOW) for some in shuffled_pairs(leases)),
        *(one.outbox.receive(CHANNEL, receipts(some), now=NOW) for some in shuffled_pairs(leases)),
    )
    for person, reply_id in zip(people, told, strict=True):
        view = await person.view(reply_id)
        assert (view.state, [part.receipt for part in view.parts]) == ("sent", ["delivered"])


async def test_a_report_on_a_reply_that_another_node_holds_waits_outside_of_its_transaction(postgres_url: str) -> None:
    store = await open_store(postgres_url, keys("test"))
    reply_id = await (await Chat(store, f"{CHANNEL}:anna").write()).tell("hello")
    leases = await pull(store)
    other = await asyncpg.connect(postgres_url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT seq FROM reply WHERE id = $1 FOR UPDATE", reply_id)
    reporting = asyncio.ensure_future(store.outbox.settle(CHANNEL, acks(leases), now=NOW))
    for _ in range(50):
        assert await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0
    await transaction.commit()
    assert (await reporting).results == [AckResult.RECORDED]
    await other.close()
    await store.close()


@pytest.mark.slow
async def test_reports_sweeps_and_releases_through_several_connections_never_deadlock(postgres_url: str) -> None:
    store = await open_store(postgres_url, keys("test"))
    people = [await Chat(store, f"{CHANNEL}:user{number}").write() for number in range(REPLIES)]
    one, other = writers(2)
    for _ in range(ROUNDS):
        told = [await person.tell("hello") for person in people]
        leases = await pull(store, limit=REPLIES, seconds=30, now=NOW)
        assert {lease.reply.id for lease in leases} == set(told)
        await asyncio.gather(
            store.engine.write(partial(delivery.settle, channel=CHANNEL, acks=acks(leases), now=NOW), one),
            store.engine.write(
                partial(delivery.receive, channel=CHANNEL, receipts=receipts(leases[::-1]), now=NOW), other
            ),
            store.engine.write(
                partial(
                    delivery.receive,
                    channel=CHANNEL,
                    receipts=receipts(random.sample(leases, REPLIES)),
                    now=NOW,
                ),
                other,
            ),
            lapse(store, now=NOW + LEASE_SECONDS + 1, connected=1),
            store.outbox.release_leases(CHANNEL, "gateway-1", told[::2]),
            store.outbox.expire_leases([(lease.reply.id, lease.token) for lease in leases[::-1]], until=NOW + 1),
            store.outbox.extend_leases(
                CHANNEL, [(lease.reply.id, lease.token) for lease in leases], until=NOW + 90, now=NOW
            ),
        )
        for person, reply_id in zip(people, told, strict=True):
            view = await person.view(reply_id)
            assert (view.state, [part.receipt for part in view.parts]) == ("sent", ["delivered"])
    await store.close()
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        deadlocks = await connection.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
    finally:
        await connection.close()
    assert deadlocks == 0
