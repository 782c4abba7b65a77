"""Each person's time zone: sealed, included in each turn, and kept in a merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from kernel_service.ports.messages import Message
from kernel_service.ports.payloads import Payload, Text
from kernel_service.storage.schema import schema
from tests.contract.store.owner import NOW, move, own, say

if TYPE_CHECKING:
    from kernel_service.ports.inbox import Accepted
    from kernel_service.storage.store import Store

VIENNA, TOKYO = "Europe/Vienna", "Asia/Tokyo"


async def zone(store: Store, person_id: str) -> str:
    return (await (await own(store, person_id)).open(NOW + 9)).time_zone


async def two(store: Store) -> tuple[str, str]:
    return await say(store, "a"), await say(store, "b", "test:bob", now=NOW + 1)


async def test_a_time_zone_is_part_of_new_and_open_turns(store: Store) -> None:
    ann = await say(store, "m1")
    assert not await zone(store, ann)
    await say(store, "m2", time_zone=VIENNA)
    assert await zone(store, ann) == VIENNA
    await say(store, "m3", time_zone=TOKYO)
    assert await zone(store, ann) == TOKYO


async def test_a_time_zone_is_sealed(store: Store) -> None:
    await say(store, "m1", time_zone=VIENNA)
    stored = await store.engine.read(lambda tx: tx.execute(select(schema.kernel.c.time_zone)).scalar_one())
    assert b"Vienna" not in stored


async def test_a_damaged_time_zone_is_unknown(store: Store) -> None:
    ann = await say(store, "m1", time_zone=VIENNA)
    await store.engine.write(lambda tx: tx.execute(update(schema.kernel).values(time_zone=b"damaged")))
    assert not await zone(store, ann)


async def test_a_merge_takes_the_merged_persons_time_zone_if_the_other_has_none(store: Store) -> None:
    ann, bob = await two(store)
    await move(store, bob, TOKYO)
    await store.merging.merge(ann, bob, now=NOW + 2)
    assert await zone(store, ann) == TOKYO
    await say(store, "b2", "test:bob", time_zone=VIENNA)
    assert await zone(store, ann) == VIENNA, "it is the same person"


async def test_a_merge_keeps_the_remaining_persons_time_zone(store: Store) -> None:
    ann, bob = await two(store)
    await move(store, ann, VIENNA)
    await move(store, bob, TOKYO)
    await store.merging.merge(ann, bob, now=NOW + 2)
    assert await zone(store, ann) == VIENNA


async def accepted(store: Store, message_id: str, zone: str) -> Accepted:
    message = Message("test:ann", message_id, Payload(Text(message_id)), time_zone=zone)
    return await store.inbox.accept(message, now=NOW, max_pending=100)


async def test_only_a_change_is_written(store: Store) -> None:
    zones = VIENNA, VIENNA, "", TOKYO, TOKYO, VIENNA
    moved = [(await accepted(store, f"m{number}", zone)).has_moved for number, zone in enumerate(zones)]
    assert moved == [True, False, False, True, False, True]


async def test_a_repeat_brings_no_older_zone_back(store: Store) -> None:
    ann = (await accepted(store, "m1", VIENNA)).person_id
    await accepted(store, "m2", TOKYO)
    repeat = await accepted(store, "m1", VIENNA)
    assert (repeat.duplicate, repeat.has_moved) == (True, False)
    assert await zone(store, ann) == TOKYO


async def test_a_change_at_another_node_is_neither_missed_nor_undone(two_nodes: tuple[Store, Store]) -> None:
    one, other = two_nodes
    ann = (await accepted(one, "m1", VIENNA)).person_id
    assert (await accepted(other, "m2", TOKYO)).has_moved
    assert (await accepted(one, "m3", VIENNA)).has_moved, "the person is back"
    assert await zone(other, ann) == VIENNA
    assert not (await accepted(other, "m4", VIENNA)).has_moved


async def test_a_damaged_time_zone_is_replaced(store: Store) -> None:
    ann = (await accepted(store, "m1", VIENNA)).person_id
    await store.engine.write(lambda tx: tx.execute(update(schema.kernel).values(time_zone=b"damaged")))
    assert (await accepted(store, "m2", VIENNA)).has_moved
    assert await zone(store, ann) == VIENNA
