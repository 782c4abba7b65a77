"""The gateway's client of the kernel service. Only this package uses its wire format."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kernel.v1 import identity_pb2, kernel_pb2_grpc, media_pb2, outbox_pb2

from whatsapp_gateway.graph.media import MediaDownload
from whatsapp_gateway.kernel.channel import SERVICE
from whatsapp_gateway.kernel.errors import KernelCallError, refusal_of
from whatsapp_gateway.kernel.items import item_of
from whatsapp_gateway.kernel.messages import alias, message_request
from whatsapp_gateway.kernel.reports import ACK_RESULTS, acknowledgement, receipt, set_failure
from whatsapp_gateway.kernel.stream import ChannelStream, Unanswered
from whatsapp_gateway.model import updates as say
from whatsapp_gateway.model.outbox import Ack, AckResult, Delivery, DeliveryOutcome, MediaWanted, Typing
from whatsapp_gateway.model.updates import LinkResult

CHANNEL: Final = "whatsapp"
MOST_AT_ONCE: Final = 1000
"""Acknowledgements or receipts per call."""
TYPING_INTERVAL_SECONDS: Final = 20
"""WhatsApp shows the indicator for 25 s."""

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
        self._stream: ChannelStream | None = None
        self._rpcs: dict[str, Any] = {
            "handle_message": self._stub.HandleMessage,
            "ack_outbox": self._stub.AckOutbox,
            "report_receipts": self._stub.ReportReceipts,
        }

    async def accept(self, message: say.Message, timeout: float) -> bool:
        """Submit a message; it is durable after the return. Returns whether it was durable before."""
        request = message_request(message, self._chat_url)
        answer = await self._call("handle_message", request, timeout, user_id=message.sender.user_id)
        return bool(answer.duplicate)

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
        request = outbox_pb2.ReportReceiptsRequest(receipts=[receipt(status) for status in statuses])
        await self._call("report_receipts", request, timeout)

    @asynccontextmanager
    async def pull(
        self, numbers: Sequence[str], instance_id: str, max_in_flight: int
    ) -> AsyncIterator[AsyncIterator[Delivery | MediaWanted | Typing]]:
        """Items for these numbers, until the service drains or the block is left.

        Their stream also carries `accept`, `ack`, `report` and `fail_media`, while the block iterates the items.
        Without a stream, as with an older service, each of them is a separate call.
        """
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
        stream = ChannelStream(partial(self._stub.ServeChannel, metadata=self._bearer), request)
        self._stream = stream
        try:
            async with aclosing(self._items(stream, request)) as items:
                yield items
        finally:
            stream.close()

    async def _items(
        self, stream: ChannelStream, request: outbox_pb2.PullOutboxRequest
    ) -> AsyncGenerator[Delivery | MediaWanted | Typing]:
        try:
            async for response in stream.items():
                if (item := item_of(response, self._now())) is not None:
                    yield item
        except KernelCallError as refusal:
            if refusal.reason != grpc.StatusCode.UNIMPLEMENTED.name:
                raise
            async for item in self._pulled(request):
                yield item

    async def _pulled(self, request: outbox_pb2.PullOutboxRequest) -> AsyncGenerator[Delivery | MediaWanted | Typing]:
        """The items from an older service, which has no ServeChannel."""
        stream = self._stub.PullOutbox(request, metadata=self._bearer)
        try:
            async for response in stream:
                if (item := item_of(response, self._now())) is not None:
                    yield item
        except grpc.aio.AioRpcError as error:
            raise refusal_of(error) from None
        finally:
            stream.cancel()

    async def ack(self, acks: Sequence[Ack], timeout: float) -> list[AckResult]:
        """Settle parts, at most MOST_AT_ONCE; one result for each, in their order."""
        request = outbox_pb2.AckOutboxRequest(acknowledgements=[acknowledgement(ack) for ack in acks])
        answer = await self._call("ack_outbox", request, timeout)
        return [ACK_RESULTS.get(result, AckResult.INVALID) for result in answer.results]

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
        set_failure(media, outcome, error_code, retry_after)
        settled = outbox_pb2.Acknowledgement(lease_token=wanted.lease_token, media=media)
        await self._call("ack_outbox", outbox_pb2.AckOutboxRequest(acknowledgements=[settled]), timeout)

    async def _call(self, kind: str, request: Any, timeout: float, user_id: str = "") -> Any:
        """The response, over the open stream or else by the rpc. `kind` is the field of the request in `ChannelCall`.

        A call that the stream leaves unanswered is repeated by its rpc, which waits for a service that serves. The
        service recognises what it has done.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        if (stream := self._stream) is not None and stream.is_open:
            with suppress(Unanswered):
                return await stream.call(kind, request, deadline)
        hint = (("x-user-id", _hash(user_id)),) if user_id else ()
        remaining = max(0.0, deadline - asyncio.get_running_loop().time())
        return await _answer(self._rpcs[kind](request, timeout=remaining, metadata=(*self._bearer, *hint)))

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


_LINKED: Final[dict[Any, LinkResult]] = {
    identity_pb2.LINK_OUTCOME_LINKED: LinkResult.LINKED,
    identity_pb2.LINK_OUTCOME_MERGED: LinkResult.MERGED,
    identity_pb2.LINK_OUTCOME_KEPT_APART: LinkResult.KEPT_APART,
}
