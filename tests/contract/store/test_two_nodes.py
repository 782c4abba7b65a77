"""Writes of two nodes for the same person at the same time: their messages, ids and files. On every engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from kernel_service.errors import NotFound
from kernel_service.ports.messages import Message
from kernel_service.ports.payloads import Payload, Text
from kernel_service.storage.schema import schema
from tests.contract.store.owner import NOW
from tests.contract.store.people import connect, person, strong, weak, write
from tests.contract.store.test_media import WANTED, bring, lease, send

if TYPE_CHECKING:
    from kernel_service.ports.inbox import Accepted
    from kernel_service.ports.media import MediaWanted
    from kernel_service.storage.store import Store

Nodes = tuple["Store", "Store"]


async def accept(store: Store, message_id: str) -> Accepted:
    received = Message("test:ann", message_id, Payload(Text("hello")), address="a")
    return await store.inbox.accept(received, now=NOW, max_pending=100)


async def rows(store: Store, table: str) -> int:
    counted = select(func.count()).select_from(getattr(schema, table))
    return int(await store.engine.read(lambda tx: tx.execute(counted).scalar_one()))


# --- messages ---------------------------------------------------------------------------------------------------


async def test_first_messages_of_a_person_at_two_nodes_create_one_person(two_nodes: Nodes) -> None:
    accepted = await asyncio.gather(*(accept(node, f"m{number}") for number, node in enumerate(two_nodes * 5)))
    assert len({one.person_id for one in accepted}) == 1
    assert len({one.seq for one in accepted}) == 10
    assert await rows(two_nodes[0], "person") == 1


async def test_the_same_message_at_two_nodes_is_stored_once(two_nodes: Nodes) -> None:
    accepted = await asyncio.gather(*(accept(node, "m1") for node in two_nodes * 5))
    assert sorted(one.duplicate for one in accepted) == [False] + [True] * 9
    assert len({one.seq for one in accepted}) == 1


async def test_a_reply_to_a_caller_is_known_at_every_node(two_nodes: Nodes) -> None:
    one, other = two_nodes
    accepted = [await accept(one, "m1"), await accept(one, "m2")]
    assert not await other.inbox.ended_among([each.seq for each in accepted])


# --- ids --------------------------------------------------------------------------------------------------------


async def test_the_same_change_of_an_id_is_told_to_two_nodes(two_nodes: Nodes) -> None:
    old, new = strong("US.1"), strong("US.2")
    anna = await person(two_nodes[0], old, weak("+1"))
    account = await connect(two_nodes[0], anna)
    await write(two_nodes[1], new, now=NOW + 1)
    linked = await asyncio.gather(*(node.merging.link(old, new, now=NOW + 2) for node in two_nodes * 3))
    assert {one.person_id for one in linked} <= {anna, ""}
    assert await two_nodes[1].people.last_person_of(new.user_id) == anna
    assert await two_nodes[1].connections.of_person(anna) == [account]


async def test_changes_of_one_id_after_another_come_to_two_nodes_at_once(two_nodes: Nodes) -> None:
    """In either order: the second change is kept until the first one tells whose it is."""
    one, other = two_nodes
    for number in range(5):
        first, second, third = (strong(f"US.{number}.{place}") for place in range(3))
        anna = await person(one, first)
        await asyncio.gather(
            other.merging.link(second, third, now=NOW + 1), one.merging.link(first, second, now=NOW + 1)
        )
        assert await other.people.last_person_of(third.user_id) == anna


async def test_messages_come_to_one_node_while_another_one_merges_their_person(two_nodes: Nodes) -> None:
    one, other = two_nodes
    older, newer = await person(one, strong("older"), now=NOW), await person(one, strong("newer"), now=NOW + 1)

    async def writing() -> list[str]:
        return [(await write(other, strong("newer"), now=NOW + 2)).person_id for _ in range(20)]

    senders, _, _ = await asyncio.gather(
        writing(), one.merging.merge(older, newer, now=NOW + 2), other.merging.merge(newer, older, now=NOW + 2)
    )
    assert set(senders) <= {older, newer}
    assert await other.people.surviving(newer) == older
    left = select(func.count()).select_from(schema.message).where(schema.message.c.person_id == newer)
    assert await one.engine.read(lambda tx: tx.execute(left).scalar_one()) == 0, "nothing stays behind"


# --- files ------------------------------------------------------------------------------------------------------


async def test_a_file_is_leased_at_one_node_and_brought_to_another(two_nodes: Nodes) -> None:
    one, other = two_nodes
    ann = await send(one, WANTED)
    [wanted] = await lease(one)
    assert not await lease(other), "a lease is exclusive everywhere"
    assert await bring(other, wanted, b"a", b"b") == ann, "that node is to wake the person"
    assert [await one.files.chunk(wanted.media_id, number) for number in (0, 1)] == [b"a", b"b"]


async def test_a_file_that_is_brought_to_two_nodes_at_once_stays_whole(two_nodes: Nodes) -> None:
    ann = await send(two_nodes[0], WANTED)
    [wanted] = await lease(two_nodes[0])
    brought = await asyncio.gather(
        *(tried(node, wanted, letter) for node, letter in zip(two_nodes * 2, "abcd", strict=True))
    )
    assert brought.count(ann) == 1
    letter = "abcd"[brought.index(ann)]
    chunks = [await two_nodes[1].files.chunk(wanted.media_id, number) for number in range(3)]
    assert chunks == [f"{letter}{number}".encode() for number in range(3)]


async def tried(store: Store, wanted: MediaWanted, letter: str) -> str:
    """The person to wake; empty: another upload of the file came in between, or first."""
    try:
        return await bring(store, wanted, *(f"{letter}{number}".encode() for number in range(3)))
    except NotFound:
        return ""
