"""The transactions of a reply, from its turn's end to its receipt, with a stream attached. One that is added is seen
here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kernel_service.outbox import outbox
from kernel_service.outbox.outbox import Outbox
from kernel_service.ports.messages import Reply, ReplyMode, Usage
from kernel_service.ports.outbox import Lease, Outcome, PartAck, PartReceipt
from kernel_service.ports.states.part import PartState
from kernel_service.ports.turns import TurnStatus
from tests.contract.store.outbox import CHANNEL
from tests.contract.store.owner import NOW, Owner, own, say
from tests.node_view import Board, View

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from kernel_service.storage.store import Store

UNITS = 3
"""The turn's end, the acknowledgement, the receipt. Without the lease in the end, and with a poll after each of them,
there were six.
"""
REPLIES = 5


class Channel:
    """A channel whose stream is attached, with the turns that it is told the replies of."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.outbox = Outbox(store.outbox, View(), Board(), lambda: NOW)
        self.leases: asyncio.Queue[Lease] = asyncio.Queue()
        self.reading = asyncio.create_task(self._read(self.outbox.pull(CHANNEL, [], 64, "gateway-1")))

    async def _read(self, pull: AsyncIterator[Any]) -> None:
        async for lease, _ in pull:
            self.leases.put_nowait(lease)

    async def attached(self) -> None:
        """Wait for the first poll."""
        while not self.outbox._polls or any(poll.has_backlog for poll in self.outbox._polls.values()):
            await asyncio.sleep(0)

    async def end(self, owner: Owner, *texts: str) -> None:
        turn = await owner.open()
        last = turn.messages[-1]
        with self.outbox.offered_lease(owner.person_id, last.channel, last.address) as offered:
            replies = [Reply(text) for text in texts]
            ended = await self.store.turns.end(
                turn, owner.epoch, [], replies, status=TurnStatus.COMPLETED, usage=Usage(),
                offer=offered.offer, now=NOW,
            )  # fmt: skip
            offered.stored(ended.stored)

    async def deliver(self) -> str:
        """Send the next reply, and report on it. Returns its text."""
        lease = await self.leases.get()
        reply_id = lease.reply.id
        await self.outbox.settle(CHANNEL, [PartAck(reply_id, 1, 1, "1", lease.token, Outcome.SENT, "w1")])
        await self.outbox.receive(CHANNEL, [PartReceipt(reply_id, 1, 1, "w1", PartState.DELIVERED, error_code="")])
        return lease.reply.reply.text

    async def close(self) -> None:
        self.outbox.close()
        await self.reading


async def owner_of_new_message(store: Store, number: int) -> Owner:
    return await own(store, await say(store, f"m{number}", reply_mode=ReplyMode.OUTBOX))


async def test_a_reply_takes_three_transactions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "POLL_SECONDS", 3600.0)  # a poll by time would count, too
    channel = Channel(store)
    await channel.attached()
    owner = await owner_of_new_message(store, 0)
    units: list[Any] = []
    write = store.engine.write

    async def counted(unit: Any, *given: Any) -> Any:
        units.append(unit)
        return await write(unit, *given)

    for number in range(1, REPLIES + 1):
        monkeypatch.setattr(store.engine, "write", counted)
        await channel.end(owner, f"answer {number}")
        assert await channel.deliver() == f"answer {number}"
        monkeypatch.setattr(store.engine, "write", write)
        await say(store, f"m{number}", reply_mode=ReplyMode.OUTBOX)
    openings = REPLIES
    assert len(units) == openings + UNITS * REPLIES
    await channel.close()


async def test_the_replies_of_one_turn_arrive_in_their_order(store: Store) -> None:
    channel = Channel(store)
    await channel.attached()
    await channel.end(await owner_of_new_message(store, 0), "one", "two", "three")
    assert [await channel.deliver() for _ in range(3)] == ["one", "two", "three"]
    await channel.close()


async def test_a_turn_that_ends_during_a_delivery_is_told_after_it(store: Store) -> None:
    channel = Channel(store)
    await channel.attached()
    owner = await owner_of_new_message(store, 0)
    await channel.end(owner, "first")
    await say(store, "m1", reply_mode=ReplyMode.OUTBOX)
    await channel.end(owner, "second")
    other = await own(store, await say(store, "m0", "test:bob", reply_mode=ReplyMode.OUTBOX))
    await channel.end(other, "to another person")
    assert {await channel.deliver(), await channel.deliver()} == {"first", "to another person"}
    assert await channel.deliver() == "second"
    await channel.close()
