"""The out-door: pulls what people are to be told, and sees it sent, each person's in order."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, retry_if_result, wait_random_exponential

from whatsapp_gateway.kernel.client import MOST_AT_ONCE, KernelClient
from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.deliveries import Delivery, MediaWanted, Typing
from whatsapp_gateway.outbound.acks import Acks
from whatsapp_gateway.outbound.line import Line
from whatsapp_gateway.outbound.media_transfers import Media
from whatsapp_gateway.outbound.sending import Sending
from whatsapp_gateway.outbound.stall_detector import StallDetector
from whatsapp_gateway.outbound.typing_indicator import TypingIndicator

logger = logging.getLogger(__name__)

MOST_IN_FLIGHT: Final = 100
"""Replies leased at once, which bounds the sends under way; WhatsApp takes 80 messages a second."""
DRAIN_SECONDS: Final = 20
GIVE_BACK_SECONDS: Final = 2
RETURN_SECONDS: Final = 30
"""How long a kernel service that is away is waited for at a time, before it is pulled from anew."""
_AWAY: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "STORE_UNAVAILABLE"})
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class Replies:
    """One stream, pulled again whenever it ends. now is the monotonic clock by which leases end here.

    instance_id names this process and no other: what is leased under it and is not here, it gives back.
    """

    def __init__(
        self,
        kernel: KernelClient,
        sending: Sending,
        acks: Acks,
        typing: TypingIndicator,
        metrics: Metrics,
        *,
        media: Media,
        numbers: Sequence[str],
        instance_id: str,
        now: Callable[[], float],
    ) -> None:
        self._kernel = kernel
        self._sending = sending
        self._acks = acks
        self._media = media
        self._typing = typing
        self._metrics = metrics
        self._numbers = numbers
        self._instance_id = instance_id
        self._now = now
        self._pulse = StallDetector(now)
        self._last_of: dict[str, asyncio.Task[None]] = {}
        self._in_hand: dict[asyncio.Task[None], Delivery] = {}
        self._trouble = ""

    def start(self) -> None:
        """Begin to pull."""
        self._beating = asyncio.create_task(self._pulse.run())
        self._settling = asyncio.create_task(self._acks.run())
        self._pulling = asyncio.create_task(self._pull_on())

    async def stop(self) -> None:
        """Pull no more; end and settle the calls under way, for at most DRAIN_SECONDS; give the rest back."""
        await _cancel(self._pulling)
        await self._media.stop()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._in_hand:
                    await asyncio.wait(self._in_hand)
                await self._acks.flush()
        except TimeoutError:
            logger.warning("stopped with replies in hand; their leases will lapse")
        with suppress(KernelCallError):  # then its leases end with its stream
            await self._give_back(GIVE_BACK_SECONDS)
        await _cancel(self._beating, self._settling, *self._in_hand)

    async def _pull_on(self) -> None:
        served_nothing = retry_if_exception_type(Exception) | retry_if_result(lambda served: not served)
        wait = wait_random_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE)
        while True:
            await AsyncRetrying(retry=served_nothing, wait=wait)(self._pull)
            await asyncio.sleep(_FIRST_PAUSE)

    async def _pull(self) -> bool:
        """One stream, to its end. Whether it served: brought something, or lasted."""
        began = self._now()
        served = False
        line = Line(self._pulse, self._now)
        try:
            await self._give_back(RETURN_SECONDS)
            async with self._kernel.pull(self._numbers, self._instance_id, MOST_IN_FLIGHT) as items:
                async for item in items:
                    served, self._trouble = True, ""
                    if not line.holds():
                        # It may have waited in the line since before its lease lapsed, and so may what follows.
                        logger.warning("this process was stopped for a while: pulling anew")
                        break
                    self._take(item, line)
        except KernelCallError as refusal:
            self._metrics.refusals.labels(refusal.reason).inc()
            self._log_once(refusal.reason)
        except Exception as fault:  # noqa: BLE001 - nobody would notice that nothing is pulled any more
            logger.error("fault while pulling replies: %s", type(fault).__name__)  # noqa: TRY400
        finally:
            line.end()
        return served or self._now() - began > _LONGEST_PAUSE

    def _log_once(self, trouble: str) -> None:
        """One log line per outage, not one a second."""
        if trouble != self._trouble:
            logger.warning("replies cannot be pulled: %s; still trying", trouble)
        self._trouble = trouble

    async def _give_back(self, timeout: float) -> None:
        """What was leased to this process and is not here was lost with a stream: it need not wait for its lease.

        Refusal: the service is away. One that does not know how, or cannot, keeps the leases to their end.
        """
        in_hand = {delivery.reply.id for delivery in self._in_hand.values()} | self._acks.unsettled()
        if len(in_hand) > MOST_AT_ONCE:
            return
        try:
            await self._kernel.give_back(self._instance_id, sorted(in_hand), timeout)
        except KernelCallError as refusal:
            if refusal.reason in _AWAY:
                raise
            self._metrics.refusals.labels(refusal.reason).inc()

    def _take(self, item: Delivery | MediaWanted | Typing, line: Line) -> None:
        if isinstance(item, Typing):
            self._typing.show(item.number, item.user_id, item.message_id)
            return
        if isinstance(item, MediaWanted):
            self._media.take(item)
            return
        item = replace(item, holds=line.holds)
        self._typing.answered(item.number, item.user_id, item.reply.answers_id)
        task = asyncio.create_task(self._deliver_after(self._last_of.get(item.user_id), item))
        self._last_of[item.user_id] = task
        self._in_hand[task] = item
        task.add_done_callback(self._done)

    async def _deliver_after(self, previous: asyncio.Task[None] | None, delivery: Delivery) -> None:
        # The outbox leases a person's next reply once this one is settled; a lease that lapsed in mid-send is
        # the exception.
        if previous is not None:
            await asyncio.wait([previous])
        await self._sending.deliver(delivery)

    def _done(self, task: asyncio.Task[None]) -> None:
        delivery = self._in_hand.pop(task)
        if self._last_of.get(delivery.user_id) is task:
            del self._last_of[delivery.user_id]
        if not task.cancelled() and (fault := task.exception()):
            logger.error("fault while sending reply %s: %s", delivery.reply.id, type(fault).__name__)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
