"""Each person's time zone: sealed, included in each turn, and kept in a merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from kernel_service.storage.schema import schema
from tests.contract.store.owner import NOW, own, say

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

VIENNA, TOKYO = "Europe/Vienna", "Asia/Tokyo"


async def zone(store: Store, person_id: str) -> str:
    return (await (await own(store, person_id)).open(NOW + 9)).time_zone


async def two(store: Store) -> tuple[str, str]:
    return await say(store, "a"), await say(store, "b", "test:bob", now=NOW + 1)


async def test_a_time_zone_is_part_of_new_and_open_turns(store: Store) -> None:
    ann = await say(store, "m1")
    assert not await zone(store, ann)
    await store.people.keep_time_zone(ann, VIENNA)
    assert await zone(store, ann) == VIENNA
    await store.people.keep_time_zone(ann, TOKYO)
    assert await zone(store, ann) == TOKYO


async def test_a_time_zone_is_sealed(store: Store) -> None:
    await store.people.keep_time_zone(await say(store, "m1"), VIENNA)
    stored = await store.engine.read(lambda tx: tx.execute(select(schema.kernel.c.time_zone)).scalar_one())
    assert b"Vienna" not in stored


async def test_a_damaged_time_zone_is_unknown(store: Store) -> None:
    ann = await say(store, "m1")
    await store.people.keep_time_zone(ann, VIENNA)
    await store.engine.write(lambda tx: tx.execute(update(schema.kernel).values(time_zone=b"damaged")))
    assert not await zone(store, ann)


async def test_a_merge_takes_the_merged_persons_time_zone_if_the_other_has_none(store: Store) -> None:
    ann, bob = await two(store)
    await store.people.keep_time_zone(bob, TOKYO)
    await store.merging.merge(ann, bob, now=NOW + 2)
    assert await zone(store, ann) == TOKYO
    await store.people.keep_time_zone(bob, VIENNA)
    assert await zone(store, ann) == VIENNA, "it is the same person"


async def test_a_merge_keeps_the_remaining_persons_time_zone(store: Store) -> None:
    ann, bob = await two(store)
    await store.people.keep_time_zone(ann, VIENNA)
    await store.people.keep_time_zone(bob, TOKYO)
    await store.merging.merge(ann, bob, now=NOW + 2)
    assert await zone(store, ann) == VIENNA
