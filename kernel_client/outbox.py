"""The items of the outbox that one consumer iterates."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from kernel.v1 import media_pb2, outbox_pb2

from kernel_client.ack_queue import AckQueue
from kernel_client.acks import Ack
from kernel_client.connection import MOST_AT_ONCE, KernelConnection
from kernel_client.delivery import Delivery, MediaWanted
from kernel_client.errors import KernelError
from kernel_client.observer import Observer
from kernel_client.outbox_pullers import OutboxPullers
from kernel_client.outbox_stream import OutboxStream
from serving.cancellation import cancel_and_wait

logger = logging.getLogger("kernel_client")

FINISH_SECONDS: Final = 5.0
"""How long the end of the iteration waits for acknowledgements."""
RENEW_SECONDS: Final = 20.0
"""A third of a lease."""
HELD_SECONDS: Final = 300.0
"""A reply that the consumer has had for this long is not renewed any more: it comes again."""

Item = Delivery | MediaWanted | outbox_pb2.Typing


class Outbox(Observer):
    """Waiting items, and those that the consumer has.

    The leases of both are renewed, so that a slow consumer gets each reply once. The service leases no more than
    `max_in_flight` of them. now is the monotonic clock of the leases.
    """

    def __init__(
        self, kernel: KernelConnection, attach: outbox_pb2.PullOutboxRequest, now: Callable[[], float]
    ) -> None:
        self._kernel = kernel
        self._now = now
        self._acks = AckQueue(kernel, self, now, gather_seconds=0)
        self._pullers = OutboxPullers(kernel, self, self._acks, self, attach=attach, now=now)
        self._waiting: deque[Item] = deque()
        self._typing: dict[str, outbox_pb2.Typing] = {}
        """Those that wait, by person."""
        self._arrived = asyncio.Event()
        self._held: dict[str, tuple[Delivery, float]] = {}
        self._again: dict[str, Delivery] = {}
        self._results: dict[Ack, asyncio.Future[str]] = {}
        self._stopping: asyncio.Task[None] | None = None
        self._refusal: KernelError | None = None

    async def items(self) -> AsyncIterator[Item]:
        """Each item once, until `stop`. Raises a `KernelError` that no repeat helps against."""
        while self._stopping is None:
            if not self._waiting:
                if self._refusal is not None:
                    raise self._refusal
                self._arrived.clear()
                await self._arrived.wait()
                continue
            item = self._waiting.popleft()
            if isinstance(item, Delivery):
                if not item.is_live or item.lease_ends <= self._now():
                    continue  # it comes again under another lease
                self._held[item.id] = (item, self._now())
            elif isinstance(item, outbox_pb2.Typing):
                del self._typing[item.user_id]
            yield item

    def start(self) -> None:
        """Begin to pull."""
        self._pullers.start()
        self._renewing = asyncio.create_task(self._renew())

    async def stop(self) -> None:
        """Release the waiting replies, settle acknowledgements, and end the streams. Each call waits for the end."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        self._arrived.set()
        await cancel_and_wait(self._renewing)
        await self._pullers.stop()
        for result in self._results.values():
            if not result.done():
                result.set_result("expired")

    # --- the receiver of the streams ------------------------------------------------------------------------------

    def take(self, item: outbox_pb2.PullOutboxResponse, stream: OutboxStream) -> None:
        """Append an item. A reply that is here already continues under its newer lease."""
        match item.WhichOneof("item"):
            case "reply":
                self._take_reply(item.reply, stream)
            case "media_wanted":
                self._take_media(item.media_wanted)
            case "typing":
                self._take_typing(item.typing)

    def _take_reply(self, leased: outbox_pb2.ReplyDelivery, stream: OutboxStream) -> None:
        waiting = (each for each in self._waiting if isinstance(each, Delivery) and each.id == leased.reply.id)
        if leased.reply.id in self._held:
            self._held[leased.reply.id][0].lease(leased, stream)
        elif (delivery := next(waiting, None)) is not None:
            delivery.lease(leased, stream)
        elif leased.reply.id in self._acks.unsettled:
            self._again[leased.reply.id] = Delivery(leased, stream, self._settle)
        else:
            self._append(Delivery(leased, stream, self._settle))

    def _take_media(self, wanted: media_pb2.MediaWanted) -> None:
        """The service asks again once a lease has ended."""
        waiting = (each for each in self._waiting if isinstance(each, MediaWanted) and each.media_id == wanted.media_id)
        if (media := next(waiting, None)) is not None:
            media.lease(wanted)
        else:
            self._append(MediaWanted(wanted, self._kernel))

    def _take_typing(self, typing: outbox_pb2.Typing) -> None:
        """One waits for each person: a slow consumer needs only the latest."""
        if typing.user_id in self._typing:
            self._typing[typing.user_id].CopyFrom(typing)
        else:
            self._typing[typing.user_id] = typing
            self._append(typing)

    def _append(self, item: Item) -> None:
        self._waiting.append(item)
        self._arrived.set()

    def pull_refused(self, error: KernelError) -> None:
        """End the iteration, as a call would end."""
        self._refusal = error
        self._arrived.set()

    def in_hand(self) -> set[str]:
        """The replies that the consumer has, and those with an acknowledgement on its way."""
        return self._held.keys() | self._acks.unsettled.keys()

    async def finish(self) -> None:
        """Wait for the acknowledgements."""
        try:
            async with asyncio.timeout(FINISH_SECONDS):
                await self._acks.flush()
        except TimeoutError:
            logger.warning("stopped with acknowledgements on their way: their replies may come again")

    async def cancel(self) -> None:
        """Nothing is sent here."""

    # --- acknowledgements and leases ------------------------------------------------------------------------------

    async def _settle(self, delivery: Delivery, ack: Ack, ends: bool) -> str:
        if ends:
            self._held.pop(delivery.id, None)
        if self._stopping is not None and self._stopping.done():
            return "expired"
        result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._results[ack] = result
        self._acks.put(ack)
        return await result

    def acknowledged(self, ack: Ack, result: str) -> None:
        """Wake the consumer, and pass on a reply that came again meanwhile, unless this was its success."""
        waiter = self._results.pop(ack, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(result)
        again = self._again.pop(ack.reply_id, None)
        if again is not None and not (ack.may_be_sent and result == "recorded"):
            self._append(again)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self._renew_once()
            except KernelError as error:
                logger.warning("leases could not be renewed: %s", error)

    async def _renew_once(self) -> None:
        now = self._now()
        held = [delivery for delivery, since in self._held.values() if now - since < HELD_SECONDS]
        for reply_id in self._held.keys() - {each.id for each in held}:
            del self._held[reply_id]
            logger.warning("reply %s was not acknowledged for %d s: it comes again", reply_id, HELD_SECONDS)
        held += [each for each in self._waiting if isinstance(each, Delivery) and each.is_live]
        for start in range(0, len(held), MOST_AT_ONCE):
            await self._extend(held[start : start + MOST_AT_ONCE])

    async def _extend(self, deliveries: list[Delivery]) -> None:
        leases = [outbox_pb2.HeldLease(reply_id=each.id, lease_token=each.lease_token) for each in deliveries]
        tokens = [each.lease_token for each in deliveries]
        began = self._now()
        answer = await self._kernel.rpc("ExtendLeases", outbox_pb2.ExtendLeasesRequest(leases=leases), RENEW_SECONDS)
        for delivery, token, state in zip(deliveries, tokens, answer.results, strict=False):
            if state == outbox_pb2.LEASE_STATE_HELD and delivery.lease_token == token:
                delivery.lease_ends = began + answer.lease_for.ToMilliseconds() / 1000
