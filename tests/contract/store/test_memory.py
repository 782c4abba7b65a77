"""The memory of a person: bounded, sealed, their own, and kept in a merge."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, select, update

from kernel_service.errors import NotFound
from kernel_service.ports.memory import MOST_FACTS, Fact, FactLabel, KeptAs
from kernel_service.ports.messages import Message
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.turns import FACTS, OWN
from kernel_service.storage.people import forgetting
from kernel_service.storage.schema import schema
from tests.contract.store.owner import HELLO, NOW, history, own, say

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

VIENNA, TOKYO = "Europe/Vienna", "Asia/Tokyo"
TEA = "Takes tea"


async def texts(store: Store, person_id: str) -> list[tuple[int, str]]:
    return [(fact.number, fact.text) for fact in (await store.memory.of_person(person_id)).facts]


async def test_a_fact_is_kept_once_however_it_is_repeated(store: Store) -> None:
    ann, bob = await say(store, "a"), await say(store, "b", "test:bob")
    said = [TEA, "takes TEA.", "Takes coffee", TEA]
    kept = [await store.memory.remember(ann, text, now=NOW) for text in said]
    assert kept == [(KeptAs.NEW, 1), (KeptAs.KNOWN, 1), (KeptAs.NEW, 2), (KeptAs.KNOWN, 1)]
    assert await texts(store, ann) == [(1, TEA), (2, "Takes coffee")]
    assert not await texts(store, bob)


async def test_a_name_is_replaced_and_a_fact_of_the_same_words_is_not(store: Store) -> None:
    ann = await say(store, "a")
    assert await store.memory.remember(ann, "Ann", FactLabel.NAME, now=NOW) == (KeptAs.NEW, 1)
    assert await store.memory.remember(ann, "Ann", now=NOW) == (KeptAs.NEW, 2)
    assert await store.memory.remember(ann, "Annie", FactLabel.NAME, now=NOW) == (KeptAs.REPLACED, 3)
    assert (await store.memory.of_person(ann)).facts == (Fact(2, "Ann"), Fact(3, "Annie", FactLabel.NAME))


async def test_there_are_fifty_facts_at_most(store: Store) -> None:
    ann = await say(store, "a")
    for number in range(MOST_FACTS - 1):
        await store.memory.remember(ann, f"fact {number}", now=NOW)
    await store.memory.remember(ann, "Ann", FactLabel.NAME, now=NOW)
    assert await store.memory.remember(ann, "one more", now=NOW) == (KeptAs.NOT_KEPT, 0)
    assert await store.memory.remember(ann, "Annie", FactLabel.NAME, now=NOW) == (KeptAs.REPLACED, MOST_FACTS + 1)
    assert await store.memory.remember(ann, "fact 3", now=NOW) == (KeptAs.KNOWN, 4)
    await store.memory.forget(ann, [1])
    assert await store.memory.remember(ann, "one more", now=NOW) == (KeptAs.NEW, MOST_FACTS + 2)


async def test_the_number_of_a_forgotten_fact_is_never_given_again(store: Store) -> None:
    ann = await say(store, "a")
    for text in ("one", "two"):
        await store.memory.remember(ann, text, now=NOW)
    await store.memory.forget(ann, [2])
    assert await store.memory.remember(ann, "three", now=NOW) == (KeptAs.NEW, 3)


async def test_facts_are_forgotten_by_their_numbers_or_all_at_once(store: Store) -> None:
    ann = await say(store, "a")
    for text in ("one", "two", "three"):
        await store.memory.remember(ann, text, now=NOW)
    assert [fact.text for fact in await store.memory.forget(ann, [2, 9, 2])] == ["two"]
    assert not await store.memory.forget(ann, [2])
    assert not await store.memory.forget(ann, [])
    assert await texts(store, ann) == [(1, "one"), (3, "three")]
    assert len(await store.memory.forget(ann, None)) == 2
    assert not await texts(store, ann)


async def test_a_fact_is_sealed_and_a_damaged_one_is_left_out_but_can_be_forgotten(store: Store) -> None:
    ann = await say(store, "a")
    await store.memory.remember(ann, TEA, now=NOW)
    await store.memory.remember(ann, "Takes coffee", now=NOW)
    [first, _] = await store.engine.read(lambda tx: list(tx.execute(select(schema.fact.c.text)).scalars()))
    assert TEA.encode() not in first
    swapped = update(schema.fact).where(schema.fact.c.number == 2).values(text=first)
    await store.engine.write(lambda tx: tx.execute(swapped))
    assert await texts(store, ann) == [(1, TEA)], "a value opens at its own place only"
    assert len(await store.memory.forget(ann, [2])) == 1


async def test_an_unknown_person_has_no_memory(store: Store) -> None:
    assert not (await store.memory.of_person("p_unknown")).facts
    for call in (
        store.memory.remember("p_unknown", TEA, now=NOW),
        store.memory.forget("p_unknown", None),
        store.memory.move_to("p_unknown", VIENNA),
    ):
        with pytest.raises(NotFound):
            await call


async def test_a_turn_says_whether_there_are_facts(store: Store) -> None:
    ann = await say(store, "a")
    assert not (await (await own(store, ann)).open()).has_facts
    await store.memory.remember(ann, TEA, now=NOW)
    assert (await (await own(store, ann)).open()).has_facts


async def test_two_nodes_keep_facts_one_after_the_other(two_nodes: tuple[Store, Store]) -> None:
    ann = await say(two_nodes[0], "a")
    told = await asyncio.gather(
        *(two_nodes[number % 2].memory.remember(ann, f"fact {number // 2}", now=NOW) for number in range(120))
    )
    numbers = [number for kept, number in told if kept is KeptAs.NEW]
    assert sorted(numbers) == list(range(1, MOST_FACTS + 1))
    assert sorted(number for number, _ in await texts(two_nodes[1], ann)) == sorted(numbers)


# --- the time zone ----------------------------------------------------------------------------------------------------


async def accepted(store: Store, message_id: str, zone: str) -> bool:
    message = Message("test:ann", message_id, Payload(Text(message_id)), time_zone=zone)
    return (await store.inbox.accept(message, now=NOW, max_pending=100)).has_moved


async def zone(store: Store, person_id: str) -> tuple[str, bool]:
    memory = await store.memory.of_person(person_id)
    turn = await (await own(store, person_id)).open(NOW + 9)
    assert turn.time_zone == memory.time_zone
    return memory.time_zone, memory.said_zone


async def test_the_zone_that_the_person_says_wins_until_they_say_another(store: Store) -> None:
    ann = await say(store, "a", time_zone=VIENNA)
    assert await zone(store, ann) == (VIENNA, False)
    await store.memory.move_to(ann, TOKYO)
    assert await zone(store, ann) == (TOKYO, True)
    assert not await accepted(store, "a2", "Europe/Rome"), "a hint does not move a person who said where they are"
    assert await zone(store, ann) == (TOKYO, True)
    await store.memory.move_to(ann, "")
    assert await zone(store, ann) == ("Europe/Rome", False), "the newest hint counts again"
    assert await accepted(store, "a3", VIENNA)


async def test_a_zone_that_cannot_be_read_leaves_the_hint(store: Store) -> None:
    ann = await say(store, "a", time_zone=VIENNA)
    await store.memory.move_to(ann, TOKYO)
    await store.engine.write(lambda tx: tx.execute(update(schema.kernel).values(said_time_zone=b"damaged")))
    assert await zone(store, ann) == (VIENNA, False)


# --- merges and deletion ----------------------------------------------------------------------------------------------


async def two(store: Store) -> tuple[str, str]:
    return await say(store, "a"), await say(store, "b", "test:bob", now=NOW + 1)


async def test_a_merge_keeps_the_facts_of_both_each_once(store: Store) -> None:
    ann, bob = await two(store)
    for person_id, text, label in (
        (ann, "Ann", FactLabel.NAME), (ann, TEA, FactLabel.NONE),
        (bob, "Bob", FactLabel.NAME), (bob, "Takes tea!", FactLabel.NONE), (bob, "Deutsch", FactLabel.LANGUAGE),
        (bob, "Has a dog", FactLabel.NONE),
    ):  # fmt: skip
        await store.memory.remember(person_id, text, label, now=NOW)
    await store.memory.move_to(bob, TOKYO)
    await store.merging.merge(ann, bob, now=NOW + 2)
    assert await texts(store, ann) == [(1, "Ann"), (2, TEA), (3, "Deutsch"), (4, "Has a dog")]
    assert await texts(store, bob) == await texts(store, ann), "the id of a merged person refers to the other"
    assert (await store.memory.of_person(ann)).time_zone == TOKYO
    assert await store.memory.remember(bob, TEA, now=NOW) == (KeptAs.KNOWN, 2)


async def test_a_merge_of_two_full_memories_stays_within_the_limit(store: Store) -> None:
    ann, bob = await two(store)
    for number in range(MOST_FACTS):
        await store.memory.remember(bob, f"bob {number}", now=NOW)
        if number < MOST_FACTS - 2:
            await store.memory.remember(ann, f"ann {number}", now=NOW)
    await store.merging.merge(ann, bob, now=NOW + 2)
    kept = await texts(store, ann)
    assert len(kept) == MOST_FACTS
    assert [text for _, text in kept[-2:]] == ["bob 48", "bob 49"]


async def test_after_a_merge_an_earlier_showing_of_the_facts_no_longer_counts(store: Store) -> None:
    """Otherwise the model would not be shown those of the other person."""
    ann, bob = await two(store)
    for person_id in (ann, bob):
        await store.memory.remember(person_id, f"of {person_id}", now=NOW)
        owner = await own(store, person_id)
        await owner.end(await owner.open(NOW + 2), HELLO._replace(origin=FACTS), HELLO)
    await store.merging.merge(ann, bob, now=NOW + 3)
    origins = [item.origin for item in await history(store, ann)]
    assert origins == [OWN, "", f"merged:{FACTS}", ""]


async def test_facts_are_deleted_with_their_person(store: Store) -> None:
    ann = await say(store, "a")
    await store.memory.remember(ann, TEA, now=NOW)

    def forget(tx: Tx) -> int:
        tx.execute(delete(schema.message))
        return forgetting._forget(tx, ann)

    await store.engine.write(forget)
    assert await store.engine.read(lambda tx: tx.execute(select(func.count(schema.person.c.id))).scalar_one()) == 0
