"""A bug affects one item, and never the loop that serves everyone."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import pytest

from whatsapp_gateway.kernel.channel import KernelAddress
from whatsapp_gateway.kernel.client import KernelClient
from whatsapp_gateway.kernel.nodes import Nodes
from whatsapp_gateway.kernel.routes import Route
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.outbox import Ack, AckResult, Delivery, DeliveryOutcome, Reply, Typing
from whatsapp_gateway.outbound.ack_queue import AckQueue
from whatsapp_gateway.outbound.deliveries import Deliveries
from whatsapp_gateway.outbound.media_fetcher import MediaFetcher
from whatsapp_gateway.outbound.outbox_pullers import OutboxPullers
from whatsapp_gateway.outbound.reply_sender import ReplySender
from whatsapp_gateway.outbound.typing_indicator import TypingIndicator

DELIVERY = Delivery(Reply("rp_1", "private words"), "whatsapp:US.1", "42", "lease", time.monotonic() + 3600)


class FaultyKernel(KernelClient):
    """Fails in an unexpected way, once each."""

    def __init__(self) -> None:
        self.door = Route(grpc.aio.insecure_channel("unix:/nowhere"), "KERNEL_ADDRESS")
        self.nodes = Nodes()
        self.pulls = 0
        self.settled: list[Ack] = []
        self.failed = False
        self.in_hand: list[list[str]] = []

    @asynccontextmanager
    async def pull(
        self, route: Route, numbers: Sequence[str], instance_id: str, max_in_flight: int
    ) -> AsyncIterator[AsyncIterator[Delivery | Typing]]:
        self.pulls += 1
        if self.pulls == 1:
            raise RuntimeError("private words")
        yield _forever(DELIVERY)

    async def give_back(self, instance_id: str, in_hand: Sequence[str], timeout: float) -> None:
        self.in_hand.append(list(in_hand))

    async def ack(self, acks: Sequence[Ack], timeout: float) -> list[AckResult]:
        if not self.failed:
            self.failed = True
            raise RuntimeError("private words")
        self.settled.extend(acks)
        return [AckResult.RECORDED] * len(acks)


class SendingTwo(ReplySender):
    """Settles two parts, one after the other was tried."""

    def __init__(self, acks: AckQueue) -> None:
        self._acks = acks
        self.done = asyncio.Event()

    async def deliver(self, delivery: Delivery) -> None:
        for part in (1, 2):
            self._acks.put(Ack(delivery, part, 2, "1", DeliveryOutcome.SENT))
            await self._acks.flush()
        self.done.set()


async def _forever(*items: Delivery | Typing) -> AsyncIterator[Delivery | Typing]:
    for item in items:
        yield item
    await asyncio.Event().wait()


async def test_pulling_and_settling_continue(caplog: pytest.LogCaptureFixture) -> None:
    kernel, metrics = FaultyKernel(), Metrics()
    acks = AckQueue(kernel, metrics, time.monotonic)
    sending = SendingTwo(acks)
    typing = TypingIndicator(None, metrics)  # type: ignore[arg-type]
    media = MediaFetcher(None, kernel, metrics)  # type: ignore[arg-type]
    deliveries = Deliveries(sending, acks, typing, media)
    replies = OutboxPullers(
        kernel,
        KernelAddress("unix:/nowhere"),
        deliveries,
        acks,
        metrics,
        numbers=["42"],
        instance_id="test",
        now=time.monotonic,
    )
    replies.start()
    async with asyncio.timeout(30):
        await sending.done.wait()
    await replies.stop()
    assert kernel.pulls == 2
    assert [ack.part for ack in kernel.settled] == [2]
    assert "fault while pulling replies: RuntimeError" in caplog.text
    assert "private words" not in caplog.text
    assert kernel.in_hand[-1] == ["rp_1"]  # the outcome of the first part is unknown
