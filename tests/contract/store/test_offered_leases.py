"""A turn's end leases its reply to a stream that has credit, as a poll of this stream would have leased it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.ports.interruptions import JoiningMessages
from kernel_service.ports.messages import Alias, Reply, ReplyMode, Usage
from kernel_service.ports.outbox import AckResult, LeaseOffer, Outcome
from kernel_service.ports.turns import TurnStatus
from tests.contract.store.outbox import ack, lapse, offer, pull, receipt
from tests.contract.store.owner import NOW, Owner, own, say

if TYPE_CHECKING:
    from kernel_service.ports.outbox import StoredReplies
    from kernel_service.ports.turns import Turn
    from kernel_service.storage.store import Store

SECONDS = 30.0


async def opened(store: Store, message_id: str = "m1", user_id: str = "test:ann", **more: Any) -> tuple[Owner, Turn]:
    person = await say(store, message_id, user_id, reply_mode=ReplyMode.OUTBOX, address="desk", **more)
    owner = await own(store, person)
    return owner, await owner.open()


async def end(owner: Owner, turn: Turn, *texts: str, offered: LeaseOffer | None) -> StoredReplies:
    ended = await owner.store.turns.end(
        turn, owner.epoch, [], [Reply(text) for text in texts],
        status=TurnStatus.COMPLETED, usage=Usage(), offer=offered, now=NOW,
    )  # fmt: skip
    return ended.stored


async def test_the_lease_is_the_one_that_a_poll_makes(store: Store) -> None:
    owner, turn = await opened(store)
    offered = await offer(store)
    stored = await end(owner, turn, "hello", offered=offered)
    assert stored.lease is not None
    assert not stored.is_pending
    assert (stored.lease.token, stored.lease.expires_at) == (offered.token, NOW + SECONDS)
    assert not stored.lease.has_next
    assert stored.lease.reply == stored.replies[0]
    assert await pull(store) == []

    await store.outbox.release([(stored.lease.reply.id, offered.token)])
    [polled] = await pull(store)
    # The token and the number of the attempt differ.
    assert [(one.user_id, one.address, one.person_id, one.reply, one.parts) for one in (stored.lease, polled)] == [
        ("test:ann", "desk", owner.person_id, stored.replies[0], 0)
    ] * 2


async def test_without_an_offer_the_reply_is_pending(store: Store) -> None:
    owner, turn = await opened(store)
    stored = await end(owner, turn, "hello", offered=None)
    assert (stored.lease, stored.is_pending) == (None, True)
    assert len(await pull(store)) == 1


async def test_only_the_first_reply_of_a_turn_is_leased(store: Store) -> None:
    owner, turn = await opened(store)
    stored = await end(owner, turn, "one", "two", offered=await offer(store))
    assert stored.lease is not None
    assert (stored.lease.reply.reply.text, stored.lease.has_next) == ("one", True)
    assert stored.is_pending
    assert await pull(store) == []
    assert await ack(store, stored.lease) is AckResult.RECORDED
    assert [lease.reply.reply.text for lease in await pull(store)] == ["two"]


@pytest.mark.parametrize("before", ["pending", "leased", "in_doubt"])
async def test_an_unsettled_earlier_reply_is_never_overtaken(store: Store, before: str) -> None:
    owner, turn = await opened(store)
    first = await end(owner, turn, "first", offered=None if before == "pending" else await offer(store))
    if before == "in_doubt":
        assert await lapse(store, now=NOW + SECONDS + 1) == 1
    await say(store, "m2", reply_mode=ReplyMode.OUTBOX, address="desk")
    second = await end(owner, await owner.open(), "second", offered=await offer(store))
    assert (second.lease, second.is_pending) == (None, True)
    await receipt(store, first.replies[0].id, "delivered")
    assert [lease.reply.reply.text for lease in await pull(store)] == ["second"]


@pytest.mark.parametrize("outcome", [Outcome.SENT, Outcome.FAILED, Outcome.WINDOW_CLOSED])
async def test_a_settled_or_held_earlier_reply_does_not_delay(store: Store, outcome: Outcome) -> None:
    owner, turn = await opened(store)
    first = (await end(owner, turn, "first", offered=await offer(store))).lease
    assert first is not None
    await ack(store, first, outcome)
    if outcome is Outcome.WINDOW_CLOSED:  # writing again releases it, and then it comes first
        other, turn = await opened(store, "m1", "test:bob")
        assert (await end(other, turn, "other", offered=await offer(store))).lease is not None
        return
    await say(store, "m2", reply_mode=ReplyMode.OUTBOX, address="desk")
    assert (await end(owner, await owner.open(), "second", offered=await offer(store))).lease is not None


async def test_another_persons_unsettled_reply_does_not_delay(store: Store) -> None:
    ann, turn = await opened(store)
    await end(ann, turn, "first", offered=None)
    bob, turn = await opened(store, "m1", "test:bob")
    lease = (await end(bob, turn, "second", offered=await offer(store))).lease
    assert lease is not None
    assert lease.user_id == "test:bob"


async def test_an_inline_reply_is_not_leased(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    stored = await end(owner, await owner.open(), "hello", offered=await offer(store))
    assert (stored.lease, stored.is_pending) == (None, False)
    assert await pull(store) == []


async def test_an_interrupted_end_leases_nothing(store: Store) -> None:
    owner, turn = await opened(store)
    await say(store, "m2", reply_mode=ReplyMode.OUTBOX, address="desk")
    with pytest.raises(JoiningMessages):
        await end(owner, turn, "too early", offered=await offer(store))
    assert await pull(store) == []
    stored = await end(owner, await owner.open(), "hello", offered=await offer(store))
    assert stored.lease is not None
    assert stored.lease.reply.answers_message_id == "m2"


async def test_a_lease_that_no_stream_knows_is_released_by_its_token(store: Store) -> None:
    owner, turn = await opened(store)
    bob, other = await opened(store, "m1", "test:bob")
    offered = await offer(store)
    await end(owner, turn, "lost", offered=offered)
    await end(bob, other, "held", offered=await offer(store))
    await store.outbox.release_offered(owner.person_id, offered.token)
    assert [lease.reply.reply.text for lease in await pull(store)] == ["lost"]


async def test_the_instance_that_got_the_lease_releases_it(store: Store) -> None:
    owner, turn = await opened(store)
    await end(owner, turn, "hello", offered=await offer(store))
    assert await store.outbox.release_leases("test", "gateway-2", []) == 0
    assert await store.outbox.release_leases("test", "gateway-1", []) == 1
    assert len(await pull(store)) == 1


async def test_a_number_that_changed_hands_during_the_turn_gets_nothing(store: Store) -> None:
    phone = Alias("test:+1", strong=False)
    anna, turn = await opened(store, "m1", "test:+1", aliases=(phone, Alias("test:anna")))
    assert await say(store, "m1", "test:stranger", aliases=(Alias("test:stranger"), phone)) != anna.person_id
    lease = (await end(anna, turn, "for anna", offered=await offer(store))).lease
    assert lease is not None
    assert lease.user_id == "test:anna"


async def test_an_id_that_was_replaced_during_the_turn_gets_nothing(store: Store) -> None:
    old, turn = await opened(store, "m1", "test:old")
    await store.merging.link(Alias("test:old"), Alias("test:new"), now=NOW)
    lease = (await end(old, turn, "hello", offered=await offer(store))).lease
    assert lease is not None
    assert lease.user_id == "test:new"
