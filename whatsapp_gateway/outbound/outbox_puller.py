"""Pulls replies from the kernel service's outbox and sends them, each person's in order."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, retry_if_result, wait_random_exponential

from whatsapp_gateway.kernel.client import MOST_AT_ONCE, KernelClient
from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.outbox import Delivery, MediaWanted, Typing
from whatsapp_gateway.outbound.ack_queue import AckQueue
from whatsapp_gateway.outbound.media_fetcher import MediaFetcher
from whatsapp_gateway.outbound.outbox_stream import OutboxStream
from whatsapp_gateway.outbound.reply_sender import ReplySender
from whatsapp_gateway.outbound.stall_detector import StallDetector
from whatsapp_gateway.outbound.typing_indicator import TypingIndicator

logger = logging.getLogger(__name__)

MOST_IN_FLIGHT: Final = 100
"""Concurrently leased replies, which bounds the sends in progress; WhatsApp accepts 80 messages a second."""
DRAIN_SECONDS: Final = 20
RELEASE_SECONDS: Final = 2
RELEASE_RETRY_SECONDS: Final = 30
"""How long the release of leases waits for an unavailable kernel service before each attempt to pull."""
_UNAVAILABLE: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "STORE_UNAVAILABLE"})
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class OutboxPuller:
    """One stream, which is reopened whenever it ends. now is the monotonic clock of the leases.

    instance_id is unique to this process: leases under it that the process does not know are released.
    """

    def __init__(
        self,
        kernel: KernelClient,
        sending: ReplySender,
        acks: AckQueue,
        typing: TypingIndicator,
        metrics: Metrics,
        *,
        media: MediaFetcher,
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
        self._stall_detector = StallDetector(now)
        self._last_of: dict[str, asyncio.Task[None]] = {}
        self._in_flight: dict[asyncio.Task[None], Delivery] = {}
        self._last_problem = ""

    def start(self) -> None:
        """Start pulling."""
        self._stall_detector_task = asyncio.create_task(self._stall_detector.run())
        self._ack_task = asyncio.create_task(self._acks.run())
        self._pull_task = asyncio.create_task(self._pull_forever())

    async def stop(self) -> None:
        """Stop pulling; finish and acknowledge the sends in progress, for DRAIN_SECONDS at most; release the rest."""
        await _cancel(self._pull_task)
        await self._media.stop()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._in_flight:
                    await asyncio.wait(self._in_flight)
                await self._acks.flush()
        except TimeoutError:
            logger.warning("stopped with replies in flight; their leases will expire")
        with suppress(KernelCallError):  # otherwise the leases end with the stream
            await self._release_leases(RELEASE_SECONDS)
        await _cancel(self._stall_detector_task, self._ack_task, *self._in_flight)

    async def _pull_forever(self) -> None:
        served_nothing = retry_if_exception_type(Exception) | retry_if_result(lambda served: not served)
        wait = wait_random_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE)
        while True:
            await AsyncRetrying(retry=served_nothing, wait=wait)(self._pull)
            await asyncio.sleep(_FIRST_PAUSE)

    async def _pull(self) -> bool:
        """Read one stream to its end. Returns whether it brought an item, or lasted."""
        began = self._now()
        served = False
        stream = OutboxStream(self._stall_detector, self._now)
        try:
            await self._release_leases(RELEASE_RETRY_SECONDS)
            async with self._kernel.pull(self._numbers, self._instance_id, MOST_IN_FLIGHT) as items:
                async for item in items:
                    served, self._last_problem = True, ""
                    if not stream.is_live():
                        # The item may have been buffered since before its lease expired, and the next ones too.
                        logger.warning("this process was suspended for a while: pulling again")
                        break
                    self._take(item, stream)
        except KernelCallError as refusal:
            self._metrics.kernel_errors.labels(refusal.reason).inc()
            self._log_once(refusal.reason)
        except Exception as fault:  # noqa: BLE001 - or nothing would be pulled any more, unnoticed
            logger.error("fault while pulling replies: %s", type(fault).__name__)  # noqa: TRY400
        finally:
            stream.end()
        return served or self._now() - began > _LONGEST_PAUSE

    def _log_once(self, problem: str) -> None:
        """One log line per outage instead of one per second."""
        if problem != self._last_problem:
            logger.warning("replies cannot be pulled: %s; still trying", problem)
        self._last_problem = problem

    async def _release_leases(self, timeout: float) -> None:
        """Release leases of this process that it does not know: they were lost with an earlier stream.

        `KernelCallError`: the service is unavailable. After other errors the leases expire by themselves.
        """
        in_hand = {delivery.reply.id for delivery in self._in_flight.values()} | self._acks.unsettled()
        if len(in_hand) > MOST_AT_ONCE:
            return
        try:
            await self._kernel.give_back(self._instance_id, sorted(in_hand), timeout)
        except KernelCallError as refusal:
            if refusal.reason in _UNAVAILABLE:
                raise
            self._metrics.kernel_errors.labels(refusal.reason).inc()

    def _take(self, item: Delivery | MediaWanted | Typing, stream: OutboxStream) -> None:
        if isinstance(item, Typing):
            self._typing.show(item.number, item.user_id, item.message_id)
            return
        if isinstance(item, MediaWanted):
            self._media.take(item)
            return
        item.is_live = stream.is_live
        task = asyncio.create_task(self._deliver_after(self._last_of.get(item.user_id), item))
        self._last_of[item.user_id] = task
        self._in_flight[task] = item
        task.add_done_callback(self._done)

    async def _deliver_after(self, previous: asyncio.Task[None] | None, delivery: Delivery) -> None:
        # The outbox leases a person's next reply once this one is settled. A lease that expires during a send is the
        # exception.
        if previous is not None:
            await asyncio.wait([previous])
        await self._typing.settle(delivery.number, delivery.user_id)
        if delivery.reply.answers_id:
            self._typing.answered(delivery.number, delivery.user_id, delivery.reply.answers_id)
        await self._sending.deliver(delivery)

    def _done(self, task: asyncio.Task[None]) -> None:
        delivery = self._in_flight.pop(task)
        if self._last_of.get(delivery.user_id) is task:
            del self._last_of[delivery.user_id]
        if not task.cancelled() and (fault := task.exception()):
            logger.error("fault while sending reply %s: %s", delivery.reply.id, type(fault).__name__)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
