"""Items in progress, whichever streams brought them: each person's replies are sent in order."""

import asyncio
import logging
from collections import Counter
from typing import Final

from kernel.v1 import outbox_pb2

from kernel_client.ack_queue import AckQueue
from kernel_client.outbox_stream import OutboxStream
from serving.cancellation import cancel_and_wait
from whatsapp_gateway.kernel.items import item_of
from whatsapp_gateway.model.outbox import Delivery, MediaWanted, Typing
from whatsapp_gateway.outbound.media_fetcher import MediaFetcher
from whatsapp_gateway.outbound.reply_sender import ReplySender
from whatsapp_gateway.outbound.typing_indicator import TypingIndicator

logger = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 20


class Deliveries:
    """A reply whose lease moved to another stream is not sent again while its earlier acknowledgement is on its way."""

    def __init__(self, sending: ReplySender, acks: AckQueue, typing: TypingIndicator, media: MediaFetcher) -> None:
        self._sending = sending
        self._acks = acks
        self._typing = typing
        self._media = media
        self._last_of: dict[str, asyncio.Task[None]] = {}
        self._in_flight: dict[asyncio.Task[None], Delivery] = {}
        self._being_sent: Counter[str] = Counter()

    def take(self, item: outbox_pb2.PullOutboxResponse, stream: OutboxStream) -> None:
        """Begin work on an item; returns at once. Items of an unknown kind are dropped."""
        match item_of(item, stream):
            case Typing(number, user_id, message_id):
                self._typing.show(number, user_id, message_id)
            case MediaWanted() as wanted:
                self._media.take(wanted)
            case Delivery() as delivery:
                self._begin(delivery)

    def _begin(self, item: Delivery) -> None:
        # The parts sent under an earlier lease are not settled yet. The lease after this one will name them.
        if item.reply.id in self._being_sent or item.reply.id in self._acks.unsettled:
            item.is_live = _never
        task = asyncio.create_task(self._deliver_after(self._last_of.get(item.user_id), item))
        self._last_of[item.user_id] = task
        self._in_flight[task] = item
        self._being_sent[item.reply.id] += 1
        task.add_done_callback(self._done)

    def in_hand(self) -> set[str]:
        """The ids of replies that are being sent, or whose acknowledgement is not settled."""
        return self._being_sent.keys() | self._acks.unsettled.keys()

    async def finish(self) -> None:
        """Finish and acknowledge the sends in progress, for DRAIN_SECONDS at most. No stream brings any more."""
        await self._media.stop()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._in_flight:
                    await asyncio.wait(self._in_flight)
                await self._acks.flush()
        except TimeoutError:
            logger.warning("stopped with replies in flight; their leases will expire")

    async def cancel(self) -> None:
        """Give up what `finish` left."""
        await cancel_and_wait(*self._in_flight)

    async def _deliver_after(self, previous: asyncio.Task[None] | None, delivery: Delivery) -> None:
        # The outbox leases a person's next reply once this one is settled. A lease that expires during a send is the
        # exception.
        if previous is not None:
            await asyncio.wait([previous])
        await self._typing.settle(delivery.number, delivery.user_id, delivery.reply.answers_id)
        await self._sending.deliver(delivery)

    def _done(self, task: asyncio.Task[None]) -> None:
        delivery = self._in_flight.pop(task)
        self._being_sent[delivery.reply.id] -= 1
        if not self._being_sent[delivery.reply.id]:
            del self._being_sent[delivery.reply.id]
        if self._last_of.get(delivery.user_id) is task:
            del self._last_of[delivery.user_id]
        if not task.cancelled() and (fault := task.exception()):
            logger.error("fault while sending reply %s: %s", delivery.reply.id, type(fault).__name__)


def _never() -> bool:
    return False
