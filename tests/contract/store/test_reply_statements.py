"""The statements of a reply from its turn's end to the last receipt. A change that adds one is seen here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel_service.ports.messages import Reply, ReplyMode, Usage
from kernel_service.ports.outbox import AckResult, Lease, LeaseOffer, Outcome, PartAck, PartReceipt
from kernel_service.ports.states.part import PartState
from kernel_service.ports.turns import TurnStatus
from tests.contract.store.outbox import CHANNEL, Chat, offer, pull
from tests.contract.store.owner import NOW, own, say
from tests.contract.store.test_turn_statements import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.storage.store import Store

LEASED_AT_ONCE = 1
"""More than in an end without an offer: the recipient, unless an earlier reply is unsettled."""
FIRST_REPORT = 3
"""An acknowledgement, or a receipt that comes before it: the reply; its new part, the reply's state."""
LATER_REPORT = 3
"""A receipt with news: the reply, its part; the part's new state."""
REPEATED_REPORT = 2
"""A receipt without news: the reply, its part."""
MANY = 20
"""The reports of one transaction (`SLICE` of `api/slices.py`)."""


async def ended(store: Store, offer: LeaseOffer | None, user: str) -> tuple[Any, int]:
    owner = await own(store, await say(store, "m1", user, reply_mode=ReplyMode.OUTBOX))
    turn = await owner.open()
    with counted(store) as seen:
        end = await store.turns.end(
            turn, owner.epoch, [], [Reply("done")], status=TurnStatus.COMPLETED, usage=Usage(), offer=offer, now=NOW
        )
    return end.stored, len(seen)


async def settled(store: Store, leases: Sequence[Lease], name: str = "w") -> list[AckResult]:
    acks = [
        PartAck(lease.reply.id, 1, 1, "1", lease.token, Outcome.SENT, f"{name}{place}")
        for place, lease in enumerate(leases)
    ]
    return (await store.outbox.settle(CHANNEL, acks, now=NOW)).results


async def received(store: Store, leases: Sequence[Lease], state: PartState) -> int:
    receipts = [
        PartReceipt(lease.reply.id, 1, 1, f"w{place}", state, error_code="") for place, lease in enumerate(leases)
    ]
    return (await store.outbox.receive(CHANNEL, receipts, now=NOW)).recorded


async def leased(store: Store, count: int) -> list[Lease]:
    for number in range(count):
        await (await Chat(store, f"{CHANNEL}:user{number}").write()).tell("hello")
    return await pull(store, limit=count, seconds=30, now=NOW)


async def test_an_end_leases_its_reply_by_one_statement(store: Store) -> None:
    _, pending = await ended(store, None, "test:ann")
    stored, at_once = await ended(store, await offer(store), "test:bob")
    assert stored.lease is not None
    assert at_once == pending + LEASED_AT_ONCE


async def test_reports_take_few_statements_however_many_they_are(store: Store) -> None:
    for count in (1, MANY):
        leases = (await leased(store, count))[:count]
        with counted(store) as acks:
            assert await settled(store, leases) == [AckResult.RECORDED] * count
        with counted(store) as receipts:
            assert await received(store, leases, PartState.DELIVERED) == count
        with counted(store) as late:
            assert await received(store, leases, PartState.SENT) == count
        assert (len(acks), len(receipts), len(late)) == (FIRST_REPORT, LATER_REPORT, REPEATED_REPORT)


async def test_receipts_before_the_acknowledgement_take_as_few(store: Store) -> None:
    leases = await leased(store, MANY)
    with counted(store) as receipts:
        assert await received(store, leases, PartState.SENT) == MANY
    with counted(store) as acks:
        assert await settled(store, leases) == [AckResult.RECORDED] * MANY
    assert (len(receipts), len(acks)) == (FIRST_REPORT, LATER_REPORT)  # they add the version of the split


async def test_reports_on_no_known_reply_take_one_statement(store: Store) -> None:
    with counted(store) as seen:
        ack = PartAck("rp_unknown", 1, 1, "1", "token", Outcome.SENT)
        assert (await store.outbox.settle(CHANNEL, [ack], now=NOW)).results == [AckResult.UNKNOWN]
    assert len(seen) == 1


async def test_reports_on_one_reply_apply_in_their_order(store: Store) -> None:
    """A batch may hold several reports on one part, in any order."""
    [lease] = await leased(store, 1)
    reply_id, token = lease.reply.id, lease.token
    receipts = [
        PartReceipt(reply_id, 1, 2, "w1", PartState.READ, error_code=""),
        PartReceipt(reply_id, 2, 2, "w2", PartState.SENT, error_code=""),
        PartReceipt(reply_id, 1, 2, "w1", PartState.DELIVERED, error_code=""),
        PartReceipt(reply_id, 2, 3, "w2", PartState.READ, error_code=""),  # it was split into two
    ]
    got = await store.outbox.receive(CHANNEL, receipts, now=NOW)
    assert (got.recorded, got.frees) == (3, False)
    acks = [
        PartAck(reply_id, 2, 2, "1", token, Outcome.RETRY),  # it is settled: there is nothing to send again
        PartAck(reply_id, 1, 2, "", token, Outcome.SENT, "w1"),
        PartAck(reply_id, 1, 3, "1", token, Outcome.SENT, "w1"),
        PartAck("rp_unknown", 1, 1, "1", token, Outcome.SENT),
    ]
    assert (await store.outbox.settle(CHANNEL, acks, now=NOW)).results == [
        AckResult.RECORDED,
        AckResult.RECORDED,
        AckResult.INVALID,
        AckResult.UNKNOWN,
    ]


async def test_a_report_causes_a_poll_only_if_a_reply_waits_for_it(store: Store) -> None:
    anna = await Chat(store, f"{CHANNEL}:anna").write()
    for text in ("one", "two"):
        await anna.tell(text)
    [lease] = await pull(store, limit=9, seconds=30, now=NOW)
    first = await store.outbox.settle(CHANNEL, [PartAck(lease.reply.id, 1, 1, "1", lease.token, Outcome.SENT)], now=NOW)
    [lease] = await pull(store, limit=9, seconds=30, now=NOW)
    retry = PartAck(lease.reply.id, 1, 1, "1", lease.token, Outcome.RETRY, retry_after=0.0)
    again = await store.outbox.settle(CHANNEL, [retry], now=NOW)
    [lease] = await pull(store, limit=9, seconds=30, now=NOW)
    last = await store.outbox.settle(CHANNEL, [PartAck(lease.reply.id, 1, 1, "1", lease.token, Outcome.SENT)], now=NOW)
    assert (first.frees, again.frees, last.frees) == (True, True, False)
