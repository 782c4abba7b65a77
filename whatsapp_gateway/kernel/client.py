"""The gateway's client of the kernel service. Only this package uses its wire format."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2
from kernel.v1 import channel_pb2, identity_pb2, media_pb2, outbox_pb2

from whatsapp_gateway.graph.media import MediaDownload
from whatsapp_gateway.kernel.channel import SERVICE, KernelAddress
from whatsapp_gateway.kernel.errors import KernelCallError, refusal_of
from whatsapp_gateway.kernel.items import item_of
from whatsapp_gateway.kernel.messages import alias, message_request
from whatsapp_gateway.kernel.nodes import Nodes
from whatsapp_gateway.kernel.reports import ACK_RESULTS, acknowledgement, receipt, set_failure
from whatsapp_gateway.kernel.routes import Route
from whatsapp_gateway.kernel.stream import ChannelStream, Unanswered
from whatsapp_gateway.kernel.streams import Streams
from whatsapp_gateway.model import updates as say
from whatsapp_gateway.model.invitations import Invitation, NoInvitation
from whatsapp_gateway.model.outbox import Ack, AckResult, Delivery, DeliveryOutcome, MediaWanted, Typing
from whatsapp_gateway.model.updates import LinkResult
from whatsapp_gateway.traces import Traces

CHANNEL: Final = "whatsapp"
MOST_AT_ONCE: Final = 1000
"""Acknowledgements or receipts per call."""
TYPING_INTERVAL_SECONDS: Final = 20
"""WhatsApp shows the indicator for 25 s."""
OTHER_NODE: Final = "OTHER_NODE"
"""The reason of a `KernelCallError`: an address leads to another node than the one that has it."""
OPENING_SECONDS: Final = 5.0
"""How long a connected node may take to serve a stream."""

_Metadata = tuple[tuple[str, str], ...]
_Answer = TypeVar("_Answer")


class KernelClient:
    """Every call raises `KernelCallError` if the service rejects it; timeouts are in seconds.

    `accept`, `ack`, `report` and `fail_media` go over the open streams. Without one they are separate calls, as all
    others are, to any node that is connected. now is the monotonic clock of the leases. chat_url is the URL with which
    browsers open WhatsApp chats. Create it inside the running loop.
    """

    def __init__(
        self,
        address: KernelAddress,
        token: str,
        now: Callable[[], float],
        chat_url: str = "",
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces or Traces()
        self.door = Route(address.open(), "KERNEL_ADDRESS")
        """The way through KERNEL_ADDRESS."""
        self.door_node = ""
        """The node that served the door's stream last; empty: unknown."""
        self.nodes = Nodes()
        self._bearer: _Metadata = (("authorization", f"Bearer {token}"),)
        self._now = now
        self._chat_url = chat_url
        self._streams = Streams()
        self._to_nodes: list[Route] = []

    @property
    def _route(self) -> Route:
        """The way for a separate call: KERNEL_ADDRESS, or a node that is connected while that leads nowhere."""
        return next((route for route in (self.door, *self._to_nodes) if route.is_connected), self.door)

    async def close(self) -> None:
        """End all calls."""
        await self.door.close()

    async def accept(self, message: say.Message, timeout: float) -> bool:
        """Submit a message; it is durable after the return. Returns whether it was durable before."""
        request = message_request(message, self._chat_url)
        user_id = message.sender.user_id
        began = self._now()
        answer = await self._call("handle_message", request, timeout, node_id=self._streams.node_of(user_id))
        self._traces.accepted(answer.trace_parent, self._now() - began)
        self._streams.remember(user_id, answer.node_id)
        return bool(answer.duplicate)

    async def link(self, change: say.IdentityChange, timeout: float) -> LinkResult:
        """Report that a person's id became another one. Returns the result."""
        request = identity_pb2.LinkIdentityRequest(previous=alias(change.previous), current=alias(change.current))
        try:
            answer = await _answer(self._route.stub.LinkIdentity(request, timeout=timeout, metadata=self._bearer))
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
        self, route: Route, numbers: Sequence[str], instance_id: str, max_in_flight: int
    ) -> AsyncIterator[AsyncIterator[Delivery | MediaWanted | Typing]]:
        """Items for these numbers, until the service drains or the block is left.

        Their stream also carries calls, while the block iterates the items. Several may be open, each with its own
        instance_id. Without a stream, as with an older service, each call is separate. Raises `KernelCallError`
        OTHER_NODE if another node than the route's answers, which may have leased items to this instance_id.
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
        open_stream = partial(route.stub.ServeChannel, metadata=self._bearer)
        stream = ChannelStream(open_stream, request, partial(self._heard, route))
        self._streams.add(stream)
        if route is not self.door:
            self._to_nodes = [route, *(each for each in self._to_nodes if each is not route and not each.is_closed)]
            asyncio.get_running_loop().call_later(OPENING_SECONDS, stream.close_unless_open)
        try:
            async with aclosing(self._items(route, stream, request)) as items:
                yield items
        finally:
            stream.close()
            self._streams.discard(stream)
            self.nodes.ended(stream)

    def _heard(self, route: Route, stream: ChannelStream, nodes: Sequence[channel_pb2.ServingNode]) -> None:
        if route is self.door:
            self.door_node = stream.node_id
        elif stream.node_id != route.node_id:
            raise KernelCallError(OTHER_NODE)
        self.nodes.heard(stream, nodes)

    async def _items(
        self, route: Route, stream: ChannelStream, request: outbox_pb2.PullOutboxRequest
    ) -> AsyncGenerator[Delivery | MediaWanted | Typing]:
        try:
            async for response in stream.items():
                if (item := item_of(response, self._now(), stream.node_id)) is not None:
                    yield item
        except KernelCallError as refusal:
            if refusal.reason != grpc.StatusCode.UNIMPLEMENTED.name:
                raise
            async for item in self._pulled(route, request):
                yield item

    async def _pulled(
        self, route: Route, request: outbox_pb2.PullOutboxRequest
    ) -> AsyncGenerator[Delivery | MediaWanted | Typing]:
        """The items from an older service, which has no ServeChannel."""
        stream = route.stub.PullOutbox(request, metadata=self._bearer)
        try:
            async for response in stream:
                if (item := item_of(response, self._now())) is not None:
                    yield item
        except grpc.aio.AioRpcError as error:
            raise refusal_of(error) from None
        finally:
            stream.cancel()

    async def ack(self, acks: Sequence[Ack], timeout: float) -> list[AckResult]:
        """Settle parts, at most MOST_AT_ONCE; one result for each, in their order.

        Each goes to the node that leased its reply, if it can: that node then leases the next one at once.
        """
        by_node: defaultdict[str, list[int]] = defaultdict(list)
        for place, ack in enumerate(acks):
            by_node[ack.delivery.node_id].append(place)
        if len(by_node) == 1:
            return await self._settle(acks, timeout)
        groups = list(by_node.values())
        settled = await asyncio.gather(*(self._settle([acks[place] for place in group], timeout) for group in groups))
        results = [AckResult.INVALID] * len(acks)
        for group, their_results in zip(groups, settled, strict=True):
            for place, result in zip(group, their_results, strict=False):
                results[place] = result
        return results

    async def _settle(self, acks: Sequence[Ack], timeout: float) -> list[AckResult]:
        """Those of one node's leases."""
        request = outbox_pb2.AckOutboxRequest(acknowledgements=[acknowledgement(ack) for ack in acks])
        answer = await self._call("ack_outbox", request, timeout, node_id=acks[0].delivery.node_id)
        return [ACK_RESULTS.get(result, AckResult.INVALID) for result in answer.results]

    async def give_back(self, instance_id: str, in_hand: Sequence[str], timeout: float) -> None:
        """Release all leases of this process except those in progress (at most MOST_AT_ONCE)."""
        request = outbox_pb2.ReleaseLeasesRequest(instance_id=instance_id, in_hand=in_hand)
        await _answer(self._route.stub.ReleaseLeases(request, timeout=timeout, metadata=self._bearer))

    async def claim_invitation(self, claimer: str, reply_id: str, timeout: float) -> Invitation | NoInvitation:
        """The right to send a template to the person who waits for a reply."""
        request = outbox_pb2.ClaimInvitationRequest(reply_id=reply_id, instance_id=claimer)
        try:
            answer = await _answer(self._route.stub.ClaimInvitation(request, timeout=timeout, metadata=self._bearer))
        except KernelCallError as refusal:
            if refusal.reason == grpc.StatusCode.UNIMPLEMENTED.name:
                return Invitation(counted=False)
            raise
        if answer.granted:
            return Invitation(answer.reminder)
        return (
            NoInvitation(answer.retry_after.ToMilliseconds() / 1000)
            if answer.HasField("retry_after")
            else NoInvitation()
        )

    async def withdraw_invitation(
        self, claimer: str, reply_id: str, timeout: float, *, retry_after: float | None = None
    ) -> None:
        """The template that was granted to this claimer was not sent.

        retry_after: seconds after which the reply comes again, to any gateway; None: when the person writes.
        """
        request = outbox_pb2.ClaimInvitationRequest(reply_id=reply_id, instance_id=claimer, withdraw=True)
        if retry_after is not None:
            request.retry_after.FromSeconds(round(retry_after))
        await _answer(self._route.stub.ClaimInvitation(request, timeout=timeout, metadata=self._bearer))

    async def upload(self, wanted: MediaWanted, place: MediaDownload, pieces: AsyncIterator[bytes]) -> None:
        """Stream a file's bytes. An exception of the pieces is raised here, and then nothing is stored."""
        call = self._route.stub.UploadMedia(metadata=self._bearer)
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
        call = self._route.stub.DownloadMedia(
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

    async def _call(self, kind: str, request: Any, timeout: float, node_id: str = "") -> Any:
        """The response, over an open stream or else by the rpc. `kind` is the field of the request in `ChannelCall`.

        A call that a stream leaves unanswered is repeated over the next one, and at last by its rpc, which waits for
        a node that serves. The service recognises what it has done. node_id: the node to prefer.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        for stream in self._streams.candidates(node_id):
            with suppress(Unanswered):
                return await stream.call(kind, request, deadline)
        remaining = max(0.0, deadline - asyncio.get_running_loop().time())
        return await _answer(self._route.calls[kind](request, timeout=remaining, metadata=self._bearer))

    @property
    def open_streams(self) -> int:
        """How many streams carry calls."""
        return self._streams.open

    async def ready(self, timeout: float) -> bool:
        """Whether a replica reports that it is serving."""
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        try:
            answer = await self._route.health.Check(request, timeout=timeout)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _answer(call: Awaitable[_Answer]) -> _Answer:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise refusal_of(error) from None


_LINKED: Final[dict[Any, LinkResult]] = {
    identity_pb2.LINK_OUTCOME_LINKED: LinkResult.LINKED,
    identity_pb2.LINK_OUTCOME_MERGED: LinkResult.MERGED,
    identity_pb2.LINK_OUTCOME_KEPT_APART: LinkResult.KEPT_APART,
}
