"""The out-door: pulls what people are to be told, and sees it sent, each person's in order."""

import asyncio
import logging
import random
from collections.abc import Sequence
from typing import Final

from whatsapp_gateway.acks import Acks
from whatsapp_gateway.deliveries import Delivery, Typing
from whatsapp_gateway.kernel_client import KernelClient
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.refusals import Refusal
from whatsapp_gateway.sending import Sending
from whatsapp_gateway.typing_indicator import TypingIndicator

logger = logging.getLogger(__name__)

MOST_IN_FLIGHT: Final = 100
"""Replies leased at once, which bounds the sends under way; WhatsApp takes 80 messages a second."""
DRAIN_SECONDS: Final = 20
LINGER_SECONDS: Final = 0.3
"""How long the end waits for what was leased already and is still on its way here: others may have it at once."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class Replies:
    """One stream, pulled again whenever it ends. instance_id names this process for operators."""

    def __init__(
        self,
        kernel: KernelClient,
        sending: Sending,
        acks: Acks,
        typing: TypingIndicator,
        metrics: Metrics,
        *,
        numbers: Sequence[str],
        instance_id: str,
    ) -> None:
        self._kernel = kernel
        self._sending = sending
        self._acks = acks
        self._typing = typing
        self._metrics = metrics
        self._numbers = numbers
        self._instance_id = instance_id
        self._last_of: dict[str, asyncio.Task[None]] = {}
        self._pause = _FIRST_PAUSE
        self._stopping = False

    def start(self) -> None:
        """Begin to pull."""
        self._settling = asyncio.create_task(self._acks.run())
        self._pulling = asyncio.create_task(self._pull_on())

    async def stop(self) -> None:
        """Pull no more; finish and settle what is in hand, for at most DRAIN_SECONDS."""
        self._stopping = True
        await asyncio.wait([self._pulling], timeout=LINGER_SECONDS)
        await _cancel(self._pulling)
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._last_of:
                    await asyncio.wait(list(self._last_of.values()))
                await self._acks.flush()
        except TimeoutError:
            logger.warning("stopped with replies in hand; their leases will lapse")
        await _cancel(self._settling, *self._last_of.values())

    async def _pull_on(self) -> None:
        while True:
            try:
                await self._pull()
            except Refusal as refusal:
                self._metrics.refusals.labels(refusal.reason).inc()
                logger.warning("pulling replies was refused: %s", refusal.reason)
            except Exception as fault:  # noqa: BLE001 - nobody would notice that nothing is pulled any more
                logger.error("fault while pulling replies: %s", type(fault).__name__)  # noqa: TRY400
            await asyncio.sleep(random.uniform(self._pause / 2, self._pause))  # noqa: S311
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    async def _pull(self) -> None:
        async with self._kernel.pull(self._numbers, self._instance_id, MOST_IN_FLIGHT) as items:
            async for item in items:
                self._pause = _FIRST_PAUSE
                if isinstance(item, Typing):
                    self._typing.show(item.number, item.user_id, item.message_id)
                elif self._stopping:
                    self._sending.hand_back(item)
                else:
                    self._take(item)

    def _take(self, delivery: Delivery) -> None:
        self._typing.answered(delivery.number, delivery.user_id, delivery.reply.answers_id)
        task = asyncio.create_task(self._deliver_after(self._last_of.get(delivery.user_id), delivery))
        self._last_of[delivery.user_id] = task
        task.add_done_callback(lambda done: self._forget(delivery, done))

    async def _deliver_after(self, previous: asyncio.Task[None] | None, delivery: Delivery) -> None:
        # The outbox leases a person's next reply once this one is settled; a lease that lapsed in mid-send is
        # the exception.
        if previous is not None:
            await asyncio.wait([previous])
        await self._sending.deliver(delivery)

    def _forget(self, delivery: Delivery, done: asyncio.Task[None]) -> None:
        if self._last_of.get(delivery.user_id) is done:
            del self._last_of[delivery.user_id]
        if not done.cancelled() and (fault := done.exception()):
            logger.error("fault while sending reply %s: %s", delivery.reply.id, type(fault).__name__)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
