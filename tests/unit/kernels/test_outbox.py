from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.kernels.outbox import Outbox
from kernel_service.kernels.store import AckResult, Lease, Outcome, PartAck
from kernel_service.messages import Reply, StoredReply

if TYPE_CHECKING:
    from collections.abc import Sequence


class Store:
    """Replies that wait, leased in batches under one token."""

    def __init__(self, count: int) -> None:
        self.waiting = [f"rp_{number}" for number in range(count)]
        self.back: list[tuple[str, str]] = []
        self.gate: asyncio.Event | None = None
        self.asked = asyncio.Event()

    async def lease(
        self, channel: str, addresses: Sequence[str], *, limit: int, seconds: float, now: float
    ) -> list[Lease]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        stored = [StoredReply(name, "t", "m", now, Reply("hi")) for name in taken]
        return [Lease(each, "p", "chat:1", "", "batch", now + seconds, [], 0, "") for each in stored]

    async def settle(self, channel: str, acks: Sequence[PartAck], *, now: float) -> list[AckResult]:
        return [AckResult.RECORDED for _ in acks]

    async def unlease(self, leases: Sequence[tuple[str, str]]) -> None:
        self.back += leases


def outbox_of(store: Any) -> Outbox:
    return Outbox(store, lambda: 1000.0)


def sent(reply_id: str, part: int = 1, parts: int = 1) -> PartAck:
    return PartAck(reply_id, part, parts, "1", "batch", Outcome.SENT)


async def test_what_is_not_acknowledged_never_exceeds_the_credit() -> None:
    outbox = outbox_of(Store(4))
    pull = outbox.pull("chat", [], 2)
    first, second = await anext(pull), await anext(pull)
    third = asyncio.ensure_future(anext(pull))
    await outbox.settle("chat", [sent(first.reply.id, 1, 2)])  # a part is not the whole
    await asyncio.sleep(0)
    assert not third.done()
    await outbox.settle("chat", [sent(first.reply.id, 2, 2)])
    assert (await third).reply.id == "rp_2"
    fourth = asyncio.ensure_future(anext(pull))
    await outbox.settle("chat", [sent(second.reply.id)])
    assert (await fourth).reply.id == "rp_3"
    await pull.aclose()  # type: ignore[attr-defined]


async def test_a_stream_that_ends_hands_back_what_it_did_not_send() -> None:
    store = Store(3)
    pull = outbox_of(store).pull("chat", [], 10)
    await anext(pull)
    await pull.aclose()  # type: ignore[attr-defined]
    assert store.back == [("rp_1", "batch"), ("rp_2", "batch")]


async def test_a_stream_that_ends_while_it_leases_hands_all_back() -> None:
    store = Store(2)
    store.gate = asyncio.Event()
    reading = asyncio.ensure_future(anext(outbox_of(store).pull("chat", [], 10)))
    await store.asked.wait()
    reading.cancel()
    await asyncio.sleep(0)
    store.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert store.back == [("rp_0", "batch"), ("rp_1", "batch")]


async def test_closing_ends_every_stream() -> None:
    outbox = outbox_of(Store(0))
    reading = asyncio.ensure_future(anext(outbox.pull("chat", [], 1), None))
    await asyncio.sleep(0)
    outbox.close()
    assert await reading is None
