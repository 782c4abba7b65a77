"""Quotes: only of the person's own messages, and of replies to them. On every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.quotes import Quoted
from tests.contract.store.outbox import ADDRESS, CHANNEL, Chat, ack, pull
from tests.contract.store.people import NOW, person, strong

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

HELLO = Quoted(Payload(Text("hello")), ours=False, at=NOW)


async def test_the_persons_own_message_is_quoted(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    assert await store.quotes.find(anna.person_id, CHANNEL, ADDRESS, "m1") == HELLO
    assert await store.quotes.find(anna.person_id, CHANNEL, ADDRESS, "m2") is None


async def test_a_reply_is_quoted_by_any_of_its_parts(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    await anna.tell("Shall I?")
    [lease] = await pull(store)
    assert await store.quotes.find(anna.person_id, CHANNEL, ADDRESS, "w1") is None
    for part in (1, 2):
        await ack(store, lease, part=part, parts=2, channel_message_id=f"w{part}")
        told = await store.quotes.find(anna.person_id, CHANNEL, ADDRESS, f"w{part}")
        assert told == Quoted(Payload(Text("Shall I?")), ours=True, at=NOW)


async def test_messages_of_other_people_and_chats_are_not_quoted(store: Store) -> None:
    anna, bruno = await Chat(store, "test:anna").write(), await Chat(store, "test:bruno").write()
    await anna.tell("for Anna")
    [lease] = await pull(store)
    await ack(store, lease, channel_message_id="w1")
    await anna.write()
    assert await store.quotes.find(bruno.person_id, CHANNEL, ADDRESS, "w1") is None
    assert await store.quotes.find(bruno.person_id, CHANNEL, ADDRESS, "m2") is None
    for message_id in ("w1", "m1"):
        assert await store.quotes.find(anna.person_id, "other", ADDRESS, message_id) is None
        assert await store.quotes.find(anna.person_id, CHANNEL, "counter", message_id) is None


async def test_a_merged_persons_replies_are_quoted(store: Store) -> None:
    stays = await person(store, strong("anna"))
    other = await Chat(store, "test:bruno").write(now=NOW + 1)
    await other.tell("for Bruno", now=NOW + 1)
    [lease] = [lease for lease in await pull(store, now=NOW + 1) if lease.user_id == "test:bruno"]
    await ack(store, lease, channel_message_id="w1", now=NOW + 1)
    await store.merging.merge(stays, other.person_id, now=NOW + 2)
    assert await store.quotes.find(stays, CHANNEL, ADDRESS, "w1") == Quoted(
        Payload(Text("for Bruno")), ours=True, at=NOW + 1
    )
    mine = await store.quotes.find(stays, CHANNEL, ADDRESS, "m1")
    assert mine is not None
    assert mine.payload == HELLO.payload
