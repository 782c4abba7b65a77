"""The kernel service as the gateway uses it; with kernel_messages the only code that knows its wire."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kernel.v1 import identity_pb2, kernel_pb2_grpc, media_pb2, messages_pb2, outbox_pb2

from whatsapp_gateway.graph.media import MediaDownload
from whatsapp_gateway.graph.retry_policy import outcome_of, remedy_of_status, retry_delay
from whatsapp_gateway.kernel.channel import SERVICE
from whatsapp_gateway.kernel.errors import KernelCallError, refusal_of
from whatsapp_gateway.kernel.messages import alias, message_request
from whatsapp_gateway.model import updates as say
from whatsapp_gateway.model.outbox import (
    Ack,
    AckResult,
    Delivery,
    DeliveryOutcome,
    File,
    Link,
    MediaWanted,
    OfferedChoice,
    Reply,
    Typing,
)
from whatsapp_gateway.model.updates import LinkResult

CHANNEL: Final = "whatsapp"
MOST_AT_ONCE: Final = 1000
"""Acknowledgements or receipts that one call may bear."""

_Metadata = tuple[tuple[str, str], ...]
_Answer = TypeVar("_Answer")


class KernelClient:
    """Every call raises Refusal where the service does not do what is asked; timeouts are in seconds.

    now is the monotonic clock by which leases end here. chat_url is where WhatsApp opens chats in browsers.
    """

    def __init__(self, channel: grpc.aio.Channel, token: str, now: Callable[[], float], chat_url: str = "") -> None:
        self._stub = kernel_pb2_grpc.KernelServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)
        self._bearer: _Metadata = (("authorization", f"Bearer {token}"),)
        self._now = now
        self._chat_url = chat_url

    async def accept(self, message: say.Message, timeout: float) -> bool:
        """Hand a message over; once this returns it is durable. Whether it had been before."""
        metadata = (*self._bearer, ("x-user-id", _hash(message.sender.user_id)))
        call = self._stub.HandleMessage(message_request(message, self._chat_url), timeout=timeout, metadata=metadata)
        return (await _answer(call)).duplicate

    async def link(self, change: say.IdentityChange, timeout: float) -> LinkResult:
        """Tell that a person's id became another. What came of it."""
        request = identity_pb2.LinkIdentityRequest(previous=alias(change.previous), current=alias(change.current))
        try:
            answer = await _answer(self._stub.LinkIdentity(request, timeout=timeout, metadata=self._bearer))
        except KernelCallError as refusal:
            # A service that lacks the call says so without a reason; to ask again for days would not help.
            refusal.final |= refusal.reason == grpc.StatusCode.UNIMPLEMENTED.name
            raise
        return _LINKED.get(answer.outcome, LinkResult.UNKNOWN)

    async def report(self, statuses: Sequence[say.Status], timeout: float) -> None:
        """Pass on what the network says of parts that were sent; at most MOST_AT_ONCE."""
        request = outbox_pb2.ReportReceiptsRequest(receipts=[_receipt(status) for status in statuses])
        await _answer(self._stub.ReportReceipts(request, timeout=timeout, metadata=self._bearer))

    @asynccontextmanager
    async def pull(
        self, numbers: Sequence[str], instance_id: str, max_in_flight: int
    ) -> AsyncIterator[AsyncIterator[Delivery | MediaWanted | Typing]]:
        """What is to be done for these numbers, until the service drains or the block is left."""
        request = outbox_pb2.PullOutboxRequest(
            channel=CHANNEL,
            addresses=numbers,
            instance_id=instance_id,
            max_in_flight=max_in_flight,
            kinds=[
                outbox_pb2.OUTBOX_ITEM_KIND_REPLY,
                outbox_pb2.OUTBOX_ITEM_KIND_MEDIA_WANTED,
                outbox_pb2.OUTBOX_ITEM_KIND_TYPING,
            ],
        )
        stream = self._stub.PullOutbox(request, metadata=self._bearer)
        try:
            yield _items(stream, self._now)
        finally:
            stream.cancel()

    async def ack(self, acks: Sequence[Ack], timeout: float) -> list[AckResult]:
        """Settle parts, at most MOST_AT_ONCE; one result for each, in their order."""
        request = outbox_pb2.AckOutboxRequest(acknowledgements=[_acknowledgement(ack) for ack in acks])
        answer = await _answer(self._stub.AckOutbox(request, timeout=timeout, metadata=self._bearer))
        return [_RESULTS.get(result, AckResult.INVALID) for result in answer.results]

    async def give_back(self, instance_id: str, in_hand: Sequence[str], timeout: float) -> None:
        """Whatever is leased to this process and not in hand (at most MOST_AT_ONCE) may go to others at once."""
        request = outbox_pb2.ReleaseLeasesRequest(instance_id=instance_id, in_hand=in_hand)
        await _answer(self._stub.ReleaseLeases(request, timeout=timeout, metadata=self._bearer))

    async def upload(self, wanted: MediaWanted, place: MediaDownload, pieces: AsyncIterator[bytes]) -> None:
        """Pass a file's bytes on as they come. What the pieces raise is raised here, and nothing is kept then."""
        call = self._stub.UploadMedia(metadata=self._bearer)
        header = media_pb2.UploadMediaHeader(
            media_id=wanted.media_id,
            lease_token=wanted.lease_token,
            mime_type=place.mime_type,
            size_bytes=place.size,
            sha256=place.sha256,
        )
        try:
            await call.write(media_pb2.UploadMediaRequest(header=header))
            async for piece in pieces:
                await call.write(media_pb2.UploadMediaRequest(chunk=piece))
            await call.done_writing()
        except asyncio.InvalidStateError:
            pass  # it was refused in mid-stream: the call says why
        except grpc.aio.AioRpcError as error:
            raise refusal_of(error) from None
        except BaseException:
            call.cancel()
            raise
        await _answer(call)

    async def download(self, ref: str, timeout: float) -> bytes:
        """A reply's file, whole."""
        call = self._stub.DownloadMedia(
            media_pb2.DownloadMediaRequest(media_ref=ref), timeout=timeout, metadata=self._bearer
        )
        try:
            return b"".join([piece.chunk async for piece in call])
        except grpc.aio.AioRpcError as error:
            raise refusal_of(error) from None

    async def fail_media(
        self, wanted: MediaWanted, outcome: DeliveryOutcome, error_code: str, retry_after: float, timeout: float
    ) -> None:
        """Say that a file cannot be had now (RETRY) or ever (FAILED). retry_after 0: as the service sees fit."""
        settled = outbox_pb2.Acknowledgement(
            media_id=wanted.media_id,
            lease_token=wanted.lease_token,
            outcome=_OUTCOMES[outcome],
            error_code=error_code,
        )
        if retry_after:
            settled.retry_after.FromMilliseconds(round(retry_after * 1000))
        request = outbox_pb2.AckOutboxRequest(acknowledgements=[settled])
        await _answer(self._stub.AckOutbox(request, timeout=timeout, metadata=self._bearer))

    async def ready(self, timeout: float) -> bool:
        """Whether a replica says that it serves."""
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        try:
            answer = await self._health.Check(request, timeout=timeout)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _answer(call: Awaitable[_Answer]) -> _Answer:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise refusal_of(error) from None


def _hash(user_id: str) -> str:
    """Headers end up in the logs of proxies: a phone number does not belong there."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:16]


_STATES: Final = {
    "sent": outbox_pb2.RECEIPT_STATE_SENT,
    "delivered": outbox_pb2.RECEIPT_STATE_DELIVERED,
    "read": outbox_pb2.RECEIPT_STATE_READ,
    "played": outbox_pb2.RECEIPT_STATE_PLAYED,
    "failed": outbox_pb2.RECEIPT_STATE_FAILED,
}


def _receipt(status: say.Status) -> outbox_pb2.Receipt:
    receipt = outbox_pb2.Receipt(
        callback_id=status.callback_id,
        channel_message_id=status.wamid,
        state=_STATES[status.state],
        error_code=status.error_code,
    )
    if status.occurred_at is not None:
        receipt.occurred_at.seconds = status.occurred_at
    if status.state == "failed":
        remedy = remedy_of_status(status.error_code)
        receipt.outcome = _OUTCOMES[DeliveryOutcome.RETRY if status.upload_again else outcome_of(remedy)]
        if wait := retry_delay(remedy, status.backoff_count):
            receipt.retry_after.FromMilliseconds(round(wait * 1000))
    return receipt


async def _items(
    stream: AsyncIterable[outbox_pb2.PullOutboxResponse], now: Callable[[], float]
) -> AsyncIterator[Delivery | MediaWanted | Typing]:
    try:
        async for response in stream:
            kind = response.WhichOneof("item")
            if kind == "reply":
                yield _delivery(response.reply, now())
            elif kind == "media_wanted":
                yield _media_wanted(response.media_wanted)
            elif kind == "typing":
                yield _typing(response.typing)
    except grpc.aio.AioRpcError as error:
        raise refusal_of(error) from None


def _media_wanted(wanted: media_pb2.MediaWanted) -> MediaWanted:
    return MediaWanted(
        media_id=wanted.media_id,
        media_ref=wanted.media_ref,
        lease_token=wanted.lease_token,
        max_bytes=wanted.max_bytes,
        sha256=wanted.sha256,
    )


def _typing(typing: outbox_pb2.Typing) -> Typing:
    return Typing(typing.address, typing.user_id, typing.message_id)


def _delivery(leased: outbox_pb2.ReplyDelivery, now: float) -> Delivery:
    return Delivery(
        reply=_reply(leased.reply),
        user_id=leased.user_id,
        number=leased.address,
        lease_token=leased.lease_token,
        lease_ends=now + _lasts(leased),
        sent_parts=frozenset(leased.sent_parts),
        parts=leased.parts,
        split_version=leased.split_version,
    )


def _lasts(leased: outbox_pb2.ReplyDelivery) -> float:
    """Seconds from now. A service that does not say so names the time by its own clock."""
    if leased.HasField("lease_for"):
        return leased.lease_for.seconds + leased.lease_for.nanos / 1e9
    return leased.lease_expires_at.seconds + leased.lease_expires_at.nanos / 1e9 - time.time()


def _reply(reply: messages_pb2.Reply) -> Reply:
    return Reply(
        id=reply.id,
        text=reply.text,
        link=_link(reply) if reply.HasField("link") else None,
        choices=tuple(OfferedChoice(choice.id, choice.title, choice.description) for choice in reply.choices),
        files=tuple(_file(media) for media in reply.media),
        reaction_to=reply.reaction.message_id,
        reaction=reply.reaction.emoji,
        quoted_id=reply.quoted_message_id,
        answers_id=reply.answers_message_id,
    )


def _link(reply: messages_pb2.Reply) -> Link:
    lasts = reply.link.expires_at.seconds - reply.created_at.seconds if reply.link.HasField("expires_at") else 0
    return Link(reply.link.url, reply.link.title, minutes=max(0, round(lasts / 60)))


def _file(media: media_pb2.Media) -> File:
    return File(media.media_ref, media.mime_type, media.filename, media.size_bytes, media.sha256)


_LINKED: Final[dict[Any, LinkResult]] = {
    identity_pb2.LINK_OUTCOME_LINKED: LinkResult.LINKED,
    identity_pb2.LINK_OUTCOME_MERGED: LinkResult.MERGED,
    identity_pb2.LINK_OUTCOME_KEPT_APART: LinkResult.KEPT_APART,
}
_OUTCOMES: Final = {
    DeliveryOutcome.SENT: outbox_pb2.DELIVERY_OUTCOME_SENT,
    DeliveryOutcome.RETRY: outbox_pb2.DELIVERY_OUTCOME_RETRY,
    DeliveryOutcome.FAILED: outbox_pb2.DELIVERY_OUTCOME_FAILED,
    DeliveryOutcome.WINDOW_CLOSED: outbox_pb2.DELIVERY_OUTCOME_WINDOW_CLOSED,
    DeliveryOutcome.UNKNOWN: outbox_pb2.DELIVERY_OUTCOME_UNKNOWN,
}
_RESULTS: Final[dict[Any, AckResult]] = {
    outbox_pb2.ACK_RESULT_RECORDED: AckResult.RECORDED,
    outbox_pb2.ACK_RESULT_STALE: AckResult.STALE,
    outbox_pb2.ACK_RESULT_UNKNOWN: AckResult.UNKNOWN,
}


def _acknowledgement(ack: Ack) -> outbox_pb2.Acknowledgement:
    part = outbox_pb2.ReplyPart(
        reply_id=ack.delivery.reply.id, part=ack.part, parts=ack.parts, split_version=ack.split_version
    )
    settled = outbox_pb2.Acknowledgement(
        reply_part=part,
        lease_token=ack.delivery.lease_token,
        outcome=_OUTCOMES[ack.outcome],
        channel_message_id=ack.wamid,
        error_code=ack.error_code,
    )
    if ack.retry_after:
        settled.retry_after.FromMilliseconds(round(ack.retry_after * 1000))
    return settled
