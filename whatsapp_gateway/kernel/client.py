"""The gateway's client of the kernel service. Only this module and kernel/messages.py use its wire format."""

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kernel.v1 import identity_pb2, kernel_pb2_grpc, media_pb2, messages_pb2, outbox_pb2

from whatsapp_gateway.graph.media import MediaDownload
from whatsapp_gateway.graph.retry_policy import outcome_of, remedy_of_status, retry_delay
from whatsapp_gateway.kernel.channel import SERVICE
from whatsapp_gateway.kernel.errors import KernelCallError, refusal_of
from whatsapp_gateway.kernel.messages import alias, message_request
from whatsapp_gateway.model import updates as say
from whatsapp_gateway.model.callback_ids import PartName, part_named
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
TYPING_INTERVAL_SECONDS: Final = 20
"""WhatsApp shows the indicator for 25 s."""
"""Acknowledgements or receipts per call."""

_Metadata = tuple[tuple[str, str], ...]
_Answer = TypeVar("_Answer")


class KernelClient:
    """Every call raises `KernelCallError` if the service rejects it; timeouts are in seconds.

    now is the monotonic clock of the leases. chat_url is the URL with which browsers open WhatsApp chats.
    """

    def __init__(self, channel: grpc.aio.Channel, token: str, now: Callable[[], float], chat_url: str = "") -> None:
        self._stub = kernel_pb2_grpc.KernelServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)
        self._bearer: _Metadata = (("authorization", f"Bearer {token}"),)
        self._now = now
        self._chat_url = chat_url

    async def accept(self, message: say.Message, timeout: float) -> bool:
        """Submit a message; it is durable after the return. Returns whether it was durable before."""
        metadata = (*self._bearer, ("x-user-id", _hash(message.sender.user_id)))
        call = self._stub.HandleMessage(message_request(message, self._chat_url), timeout=timeout, metadata=metadata)
        return (await _answer(call)).duplicate

    async def link(self, change: say.IdentityChange, timeout: float) -> LinkResult:
        """Report that a person's id became another one. Returns the result."""
        request = identity_pb2.LinkIdentityRequest(previous=alias(change.previous), current=alias(change.current))
        try:
            answer = await _answer(self._stub.LinkIdentity(request, timeout=timeout, metadata=self._bearer))
        except KernelCallError as refusal:
            # A service without this RPC gives no reason. Retrying for days would not help.
            refusal.final |= refusal.reason == grpc.StatusCode.UNIMPLEMENTED.name
            raise
        return _LINKED.get(answer.outcome, LinkResult.UNKNOWN)

    async def report(self, statuses: Sequence[say.Status], timeout: float) -> None:
        """Report the network's statuses of sent parts, at most MOST_AT_ONCE."""
        request = outbox_pb2.ReportReceiptsRequest(receipts=[_receipt(status) for status in statuses])
        await _answer(self._stub.ReportReceipts(request, timeout=timeout, metadata=self._bearer))

    @asynccontextmanager
    async def pull(
        self, numbers: Sequence[str], instance_id: str, max_in_flight: int
    ) -> AsyncIterator[AsyncIterator[Delivery | MediaWanted | Typing]]:
        """Items for these numbers, until the service drains or the block is left."""
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
            typing_interval=Duration(seconds=TYPING_INTERVAL_SECONDS),
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
        """Release all leases of this process except those in progress (at most MOST_AT_ONCE)."""
        request = outbox_pb2.ReleaseLeasesRequest(instance_id=instance_id, in_hand=in_hand)
        await _answer(self._stub.ReleaseLeases(request, timeout=timeout, metadata=self._bearer))

    async def upload(self, wanted: MediaWanted, place: MediaDownload, pieces: AsyncIterator[bytes]) -> None:
        """Stream a file's bytes. An exception of the pieces is raised here, and then nothing is stored."""
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
            pass  # it was rejected in mid-stream: the call gives the reason
        except grpc.aio.AioRpcError as error:
            raise refusal_of(error) from None
        except BaseException:
            call.cancel()
            raise
        await _answer(call)

    async def download(self, ref: str, timeout: float) -> bytes:
        """A reply's whole file."""
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
        """Report that a file is unavailable for now (RETRY) or permanently (FAILED). retry_after 0: the service
        decides.
        """
        media = outbox_pb2.MediaAcknowledgement(media_id=wanted.media_id)
        _set_failure(media, outcome, error_code, retry_after)
        settled = outbox_pb2.Acknowledgement(lease_token=wanted.lease_token, media=media)
        request = outbox_pb2.AckOutboxRequest(acknowledgements=[settled])
        await _answer(self._stub.AckOutbox(request, timeout=timeout, metadata=self._bearer))

    async def ready(self, timeout: float) -> bool:
        """Whether a replica reports that it is serving."""
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
    """Proxies log headers, which must not contain a phone number."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:16]


_STAGES: Final = {
    "sent": outbox_pb2.DELIVERY_STAGE_SENT,
    "delivered": outbox_pb2.DELIVERY_STAGE_DELIVERED,
    "read": outbox_pb2.DELIVERY_STAGE_READ,
    "played": outbox_pb2.DELIVERY_STAGE_PLAYED,
}


def _receipt(status: say.Status) -> outbox_pb2.Receipt:
    receipt = outbox_pb2.Receipt(channel_message_id=status.wamid)
    if (part := part_named(status.callback_id)) is not None:
        receipt.part.CopyFrom(_part(part))
    if status.occurred_at is not None:
        receipt.occurred_at.seconds = status.occurred_at
    if status.state == "failed":
        remedy = remedy_of_status(status.error_code)
        outcome = DeliveryOutcome.RETRY if status.upload_again else outcome_of(remedy)
        _set_failure(receipt, outcome, status.error_code, retry_delay(remedy, status.backoff_count))
    else:
        receipt.reached = _STAGES[status.state]
    return receipt


def _part(given: PartName) -> outbox_pb2.ReplyPart:
    return outbox_pb2.ReplyPart(reply_id=given.reply_id, part=given.part, parts=given.parts)


def _set_failure(
    settled: outbox_pb2.PartAcknowledgement | outbox_pb2.MediaAcknowledgement | outbox_pb2.Receipt,
    outcome: DeliveryOutcome,
    error_code: str,
    retry_after: float,
) -> None:
    """retry_after 0: the service decides."""
    failure = getattr(settled, _FAILURES[outcome])
    failure.SetInParent()
    failure.error_code = error_code
    if outcome is DeliveryOutcome.RETRY and retry_after:
        failure.retry_after.FromMilliseconds(round(retry_after * 1000))


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
        lease_ends=now + leased.lease_for.seconds + leased.lease_for.nanos / 1e9,
        sent_parts=frozenset(leased.split.sent_parts),
        parts=leased.split.parts,
        split_version=leased.split.version,
    )


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
_FAILURES: Final = {
    DeliveryOutcome.RETRY: "retry",
    DeliveryOutcome.FAILED: "failed",
    DeliveryOutcome.WINDOW_CLOSED: "window_closed",
    DeliveryOutcome.UNKNOWN: "in_doubt",
}
_RESULTS: Final[dict[Any, AckResult]] = {
    outbox_pb2.ACK_RESULT_RECORDED: AckResult.RECORDED,
    outbox_pb2.ACK_RESULT_STALE: AckResult.STALE,
    outbox_pb2.ACK_RESULT_UNKNOWN: AckResult.UNKNOWN,
}


def _acknowledgement(ack: Ack) -> outbox_pb2.Acknowledgement:
    settled = outbox_pb2.PartAcknowledgement(
        part=_part(PartName(ack.delivery.reply.id, ack.part, ack.parts)), split_version=ack.split_version
    )
    if ack.outcome is DeliveryOutcome.SENT:
        settled.sent.SetInParent()
        settled.sent.channel_message_id = ack.wamid
    else:
        _set_failure(settled, ack.outcome, ack.error_code, ack.retry_after)
    return outbox_pb2.Acknowledgement(lease_token=ack.delivery.lease_token, part=settled)
