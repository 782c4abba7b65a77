"""A bug affects one item, and never the loop that serves everyone."""

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest
from google.protobuf.duration_pb2 import Duration
from kernel.v1 import messages_pb2, outbox_pb2

from kernel_client.ack_queue import AckQueue
from kernel_client.acks import Ack
from kernel_client.address import KernelAddress
from kernel_client.connection import KernelConnection
from kernel_client.nodes import Nodes
from kernel_client.outbox_pullers import OutboxPullers
from kernel_client.routes import Route, route_to_address
from whatsapp_gateway.kernel.attach import attach_request
from whatsapp_gateway.kernel.reports import acknowledgement
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model import outbox
from whatsapp_gateway.model.outbox import Delivery, DeliveryOutcome
from whatsapp_gateway.outbound.deliveries import Deliveries
from whatsapp_gateway.outbound.media_fetcher import MediaFetcher
from whatsapp_gateway.outbound.reply_sender import ReplySender
from whatsapp_gateway.outbound.typing_indicator import TypingIndicator

REPLY = outbox_pb2.PullOutboxResponse(
    reply=outbox_pb2.ReplyDelivery(
        reply=messages_pb2.Reply(id="rp_1", text="private words"),
        user_id="whatsapp:US.1",
        address="42",
        lease_token="lease",
        lease_for=Duration(seconds=3600),
    )
)


class FaultyKernel(KernelConnection):
    """Fails in an unexpected way, once each."""

    def __init__(self) -> None:
        self.address = KernelAddress("unix:/nowhere")
        self.bootstrap = route_to_address(KernelAddress("unix:/nowhere"))
        self.nodes = Nodes()
        self.pulls = 0
        self.settled: list[Ack] = []
        self.has_failed = False
        self.in_hand: list[list[str]] = []

    async def connect(self, timeout: float) -> None:
        pass

    async def pull(
        self,
        route: Route,
        request: outbox_pb2.PullOutboxRequest,
        take: Callable[[outbox_pb2.PullOutboxResponse, str], None],
    ) -> None:
        self.pulls += 1
        if self.pulls == 1:
            raise RuntimeError("private words")
        take(REPLY, "node")
        await asyncio.Event().wait()

    async def release(self, instance_id: str, in_hand: Sequence[str], timeout: float) -> None:
        self.in_hand.append(list(in_hand))

    async def acknowledge(self, acks: Sequence[Ack], timeout: float) -> list[int]:
        if not self.has_failed:
            self.has_failed = True
            raise RuntimeError("private words")
        self.settled.extend(acks)
        return [outbox_pb2.ACK_RESULT_RECORDED] * len(acks)


class SendingTwo(ReplySender):
    """Settles two parts, one after the other was tried."""

    def __init__(self, acks: AckQueue) -> None:
        self._acks = acks
        self.done = asyncio.Event()

    async def deliver(self, delivery: Delivery) -> None:
        for part in (1, 2):
            self._acks.put(acknowledgement(outbox.Ack(delivery, part, 2, "1", DeliveryOutcome.SENT)))
            await self._acks.flush()
        self.done.set()


async def test_pulling_and_settling_continue(caplog: pytest.LogCaptureFixture) -> None:
    kernel, metrics = FaultyKernel(), Metrics()
    acks = AckQueue(kernel, metrics, time.monotonic, 0)
    sending = SendingTwo(acks)
    typing = TypingIndicator(None, metrics)  # type: ignore[arg-type]
    media = MediaFetcher(None, kernel, metrics)  # type: ignore[arg-type]
    deliveries = Deliveries(sending, acks, typing, media)
    attach = attach_request(["42"], "test")
    replies = OutboxPullers(kernel, deliveries, acks, metrics, attach=attach, now=time.monotonic)
    replies.start()
    async with asyncio.timeout(30):
        await sending.done.wait()
    await replies.stop()
    assert kernel.pulls == 2
    assert [ack.message.part.part.part for ack in kernel.settled] == [2]
    assert "fault while pulling replies: RuntimeError" in caplog.text
    assert "private words" not in caplog.text
    assert kernel.in_hand[-1] == ["rp_1"]  # the outcome of the first part is unknown
