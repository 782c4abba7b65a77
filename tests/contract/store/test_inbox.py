"""The inbox: each message once, separate people, and a cap on waiting messages."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.errors import AlreadyExists, Conflict, Exhausted, NotFound
from kernel_service.ports.messages import Alias, Message, MessageStatus, Reply, ReplyMode, Usage
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.turns import Turn, TurnStatus
from tests.contract.store.outbox import pull

if TYPE_CHECKING:
    from kernel_service.ports.inbox import Accepted
    from kernel_service.storage.store import Store

NOW = 1_800_000_000.0


def said(user_id: str, message_id: str, words: str = "hello", **more: Any) -> Message:
    return replace(Message(user_id, message_id, Payload(Text(words))), **more)


async def accept(store: Store, message: Message, *, now: float = NOW, cap: int = 10) -> Accepted:
    return await store.inbox.accept(message, now=now, max_pending=cap)


async def test_a_message_is_stored_once(store: Store) -> None:
    first = await accept(store, said("test:ann", "m1"))
    again = await accept(store, said("test:ann", "m1"))
    assert (first.duplicate, first.status) == (False, MessageStatus.ACCEPTED)
    assert again == replace(first, duplicate=True)


async def test_a_hundred_concurrent_repeats_are_stored_once(store: Store) -> None:
    accepted = await asyncio.gather(*(accept(store, said("test:ann", "m1")) for _ in range(100)))
    assert len({(one.person_id, one.seq) for one in accepted}) == 1
    assert sum(not one.duplicate for one in accepted) == 1


async def test_concurrent_messages_with_overlapping_ids_create_one_person(store: Store) -> None:
    shared = Alias("test:ann-parent")
    accepted = await asyncio.gather(
        *(accept(store, said(f"test:ann-{n}", "m1", aliases=(shared,)), cap=100) for n in range(20))
    )
    assert len({one.person_id for one in accepted}) == 1


async def test_a_reused_message_id_with_another_payload_is_rejected(store: Store) -> None:
    await accept(store, said("test:ann", "m1"))
    with pytest.raises(AlreadyExists) as refused:
        await accept(store, said("test:ann", "m1", "something else"))
    assert refused.value.reason == "MESSAGE_ID_REUSED"


@pytest.mark.parametrize(
    "other", [said("test:bob", "m1"), said("other:ann", "m1"), said("test:ann", "m1", address="desk 2")]
)
async def test_the_same_message_id_elsewhere_is_a_different_message(store: Store, other: Message) -> None:
    first = await accept(store, said("test:ann", "m1"))
    second = await accept(store, other)
    assert not second.duplicate
    assert second.seq != first.seq


ANN, PHONE = Alias("test:ann"), Alias("test:+1", strong=False)


async def test_a_message_repeated_under_more_ids_is_stored_once(store: Store) -> None:
    first = await accept(store, said("test:+1", "m1", aliases=(PHONE,)))
    for _ in range(2):
        again = await accept(store, said("test:ann", "m1", aliases=(ANN, PHONE)), cap=1)
        assert again == replace(first, duplicate=True)
    assert await store.people.last_person_of("test:ann") == first.person_id


async def test_a_message_repeated_under_the_replacing_id_is_stored_once(
    store: Store,
) -> None:
    first = await accept(store, said("test:ann", "m1"))
    await store.merging.link(ANN, Alias("test:ann-2"), now=NOW)
    assert await accept(store, said("test:ann-2", "m1")) == replace(first, duplicate=True)


@pytest.mark.parametrize("other", [{"words": "bye"}, {"address": "desk 2"}, {"message_id": "m2"}])
async def test_another_payload_under_another_id_of_the_person_is_a_different_message(
    store: Store, other: dict[str, Any]
) -> None:
    first = await accept(store, said("test:+1", "m1", aliases=(PHONE,)))
    second = await accept(store, said("test:ann", **{"message_id": "m1", "aliases": (ANN, PHONE)} | other))
    assert (second.duplicate, second.person_id) == (False, first.person_id)
    assert second.seq != first.seq


async def test_a_message_of_a_numbers_former_owner_is_no_repeat_for_the_next_one(store: Store) -> None:
    first = await accept(store, said("test:+1", "m1", aliases=(PHONE,)))
    await accept(store, said("test:ann", "m2", aliases=(ANN, PHONE)))
    bobs = await accept(store, said("test:bob", "m1", aliases=(Alias("test:bob"), PHONE)))
    assert await store.people.last_person_of("test:+1") == bobs.person_id != first.person_id
    assert not bobs.duplicate


async def test_a_stop_repeated_under_more_ids_withdraws_nothing(store: Store) -> None:
    await accept(store, said("test:+1", "m1", "stop", aliases=(PHONE,)))
    later = await accept(store, said("test:+1", "m2", aliases=(PHONE,)))
    again = await accept(store, said("test:ann", "m1", "stop", aliases=(ANN, PHONE)))
    assert (again.duplicate, again.withdrawn) == (True, ())
    assert (await store.inbox.answer_of(later.person_id, later.seq)).status is MessageStatus.ACCEPTED


async def test_the_same_bare_id_in_two_channels_is_two_people(store: Store) -> None:
    one, two = await accept(store, said("whatsapp:42", "m1")), await accept(store, said("telegram:42", "m1"))
    assert one.person_id != two.person_id
    assert await store.people.last_person_of("whatsapp:42") == one.person_id
    assert await store.people.last_person_of("telegram:42") == two.person_id
    assert await store.people.last_person_of("signal:42") is None


async def test_an_alias_leads_to_its_person(store: Store) -> None:
    phone = Alias("test:+1", strong=False)
    ann = await accept(store, said("test:ann", "m1", aliases=(Alias("test:ann"), phone)))
    renamed = said("test:ann-2", "m2", aliases=(Alias("test:ann-2"), Alias("test:ann")))
    later = await accept(store, renamed, now=NOW + 1)
    assert later.person_id == ann.person_id
    assert await store.people.ids_in(ann.person_id, "test") == [Alias("test:ann"), Alias("test:ann-2"), phone]


async def test_a_weak_id_moves_to_its_current_owner(store: Store) -> None:
    phone = Alias("test:+1", strong=False)
    ann = await accept(store, said("test:ann", "m1", aliases=(Alias("test:ann"), phone)))
    bob = await accept(store, said("test:bob", "m1", aliases=(Alias("test:bob"), phone)), now=NOW + 1)
    assert ann.person_id != bob.person_id
    assert await store.people.ids_in(bob.person_id, "test") == [Alias("test:bob"), phone]
    assert await store.people.ids_in(ann.person_id, "test") == [Alias("test:ann")]
    assert await store.people.last_person_of("test:+1") == bob.person_id


async def test_strong_ids_of_different_people_are_a_conflict_and_nothing_is_stored(store: Store) -> None:
    ann, bob = await accept(store, said("test:ann", "m1")), await accept(store, said("test:bob", "m1"))
    both = said("test:ann", "m2", aliases=(Alias("test:ann"), Alias("test:bob")))
    with pytest.raises(Conflict) as refused:
        await accept(store, both)
    assert refused.value.reason == "IDENTITY_CONFLICT"
    for own in (ann, bob):
        _, waiting, _ = await store.admin.turns(own.person_id, limit=10, before="")
        assert waiting == [(own.seq, NOW)]


async def test_the_cap_counts_waiting_messages_and_admits_duplicates(store: Store) -> None:
    for number in range(3):
        await accept(store, said("test:ann", f"m{number}"), cap=3)
    with pytest.raises(Exhausted) as refused:
        await accept(store, said("test:ann", "m3"), cap=3)
    assert refused.value.reason == "TOO_MANY_PENDING"
    assert (await accept(store, said("test:ann", "m1"), cap=3)).duplicate
    assert not (await accept(store, said("test:bob", "m3"), cap=3)).duplicate


async def test_a_message_shows_its_outcome(store: Store) -> None:
    first, last = [await accept(store, said("test:ann", name)) for name in ("m1", "m2")]
    person = first.person_id
    assert (await store.inbox.answer_of(person, last.seq)).status is MessageStatus.ACCEPTED
    epoch = (await store.kernels.activate(person, owner="one")).epoch
    turn = await store.turns.next_turn(person, epoch, now=NOW, debounce=0)
    assert isinstance(turn, Turn)
    assert (await store.inbox.answer_of(person, last.seq)).turn_id == turn.id
    spent = Usage(input_tokens=5, output_tokens=2)
    ended = await store.turns.end(
        turn, epoch, [], [Reply("one"), Reply("two")], status=TurnStatus.COMPLETED, usage=spent, now=NOW
    )
    told = ended.stored.replies
    answer = await store.inbox.answer_of(person, last.seq)
    assert (answer.status, answer.usage, answer.duplicate) == (MessageStatus.COMPLETED, spent, False)
    assert list(answer.replies) == told
    assert not ended.waits
    assert [one.reply.text for one in told] == ["one", "two"]
    assert {(one.answers_message_id, one.turn_id) for one in told} == {("m2", turn.id)}
    merged = await store.inbox.answer_of(person, first.seq)
    assert (merged.status, merged.replies, merged.turn_id) == (MessageStatus.MERGED, (), turn.id)
    again = await accept(store, said("test:ann", "m2"))
    assert (again.duplicate, again.status, again.turn_id) == (True, MessageStatus.COMPLETED, turn.id)


async def test_another_persons_message_is_not_found(store: Store) -> None:
    ann, bob = await accept(store, said("test:ann", "m1")), await accept(store, said("test:bob", "m1"))
    with pytest.raises(NotFound):
        await store.inbox.answer_of(bob.person_id, ann.seq)


async def test_replies_for_the_outbox_are_not_returned_to_the_caller(store: Store) -> None:
    accepted = await accept(store, said("test:ann", "m1", reply_mode=ReplyMode.OUTBOX, address="desk"))
    epoch = (await store.kernels.activate(accepted.person_id, owner="one")).epoch
    turn = await store.turns.next_turn(accepted.person_id, epoch, now=NOW, debounce=0)
    assert isinstance(turn, Turn)
    await store.turns.end(turn, epoch, [], [Reply("one")], status=TurnStatus.COMPLETED, usage=Usage(), now=NOW)
    assert (await store.inbox.answer_of(accepted.person_id, accepted.seq)).replies == ()
    leases = await pull(store, "desk", limit=10, seconds=30, now=NOW)
    assert [(one.reply.reply.text, one.user_id, one.address) for one in leases] == [("one", "test:ann", "desk")]


async def test_the_last_route_is_that_of_the_newest_message(store: Store) -> None:
    first = await accept(store, said("test:ann", "m1", address="desk 1"))
    await accept(store, said("test:ann", "m2", address="desk 2"))
    assert await store.inbox.last_route(first.person_id) == ("test", "desk 2")
    assert await store.inbox.last_route("p_nobody") is None
