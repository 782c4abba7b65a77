"""A kernel service over real gRPC that keeps everything in memory and refuses on request."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from kernel.v1 import channel_pb2, identity_pb2, kernel_pb2_grpc, media_pb2, messages_pb2, outbox_pb2

from whatsapp_gateway.model.callback_ids import PartName

TOKEN = "channel-token"
SERVICE = "kernel.v1.KernelService"

Refuse = Callable[[Any], tuple[int, str] | None]


async def refuse(context: Any, code: int, reason: str) -> None:
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="kernel.v1"))
    await context.abort_with_status(rpc_status.to_status(status_pb2.Status(code=code, details=[info])))


class RefusedCall(Exception):
    """The status code and the reason."""


class CallOfStream:
    """The context of a call of a stream."""

    def __init__(self, context: Any) -> None:
        self.invocation_metadata = context.invocation_metadata

    async def abort_with_status(self, status: Any) -> None:
        given = status_pb2.Status.FromString(dict(status.trailing_metadata)["grpc-status-details-bin"])
        info = error_details_pb2.ErrorInfo()
        given.details[0].Unpack(info)
        raise RefusedCall(given.code, info.reason)


class FakeKernel(kernel_pb2_grpc.KernelServiceServicer):
    """`refusals` maps methods to their refusals. `gates` holds the calls of a method until the event is set.

    A call of a stream counts as a call of its method. Without `serves_streams` it is an older service. With a `node_id`
    it is one node of several, and names `nodes`; `home` is the node of each person.
    """

    def __init__(self) -> None:
        self.messages: list[messages_pb2.HandleMessageRequest] = []
        self.receipts: list[Told] = []
        self.links: list[identity_pb2.LinkIdentityRequest] = []
        self.acks: list[Told] = []
        self.ack_calls: list[outbox_pb2.AckOutboxRequest] = []
        self.reminders: dict[str, str] = {}
        """The texts of replies that are reminders."""
        self.uploads: list[tuple[media_pb2.UploadMediaHeader, bytes]] = []
        self.cuts_uploads = False
        self.serves_streams = True
        self.node_id = ""
        self.nodes: list[channel_pb2.ServingNode] = []
        self.home: Callable[[str], str] = lambda _: ""
        self.streams: set[asyncio.Queue[channel_pb2.ServeChannelResponse | None]] = set()
        self.files: dict[str, bytes] = {}
        self.pulls: list[outbox_pb2.PullOutboxRequest] = []
        self.releases: list[outbox_pb2.ReleaseLeasesRequest] = []
        self.metadata: list[dict[str, str]] = []
        self.calls: list[str] = []
        self.separate_calls: list[str] = []
        """The calls, without those of a stream."""
        self.invited: dict[str, str] = {}
        """The process that may invite each person to write."""
        self._people: dict[str, str] = {}
        self.link_outcome: Any = identity_pb2.LINK_OUTCOME_LINKED
        self.refusals: dict[str, Refuse] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.under_way = 0
        self.most_under_way = 0
        self._outbox: asyncio.Queue[outbox_pb2.PullOutboxResponse | None] = asyncio.Queue()
        self._changed = asyncio.Condition()

    async def until(self, what: Callable[[], Any], timeout: float = 30) -> None:
        """Return once the condition is true. It is checked after each call."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(what)

    def has_messages(self, count: int) -> bool:
        return len(self.messages) >= count

    def texts_of(self, user_id: str) -> list[str]:
        return [message.payload.text for message in self.messages if message.user_id == user_id]

    def lease(self, text: str = "", *, user_id: str, seconds: float = 30, **fields: Any) -> outbox_pb2.ReplyDelivery:
        """Lease a reply to the gateway that pulls."""
        reply_fields = {
            key: fields.pop(key)
            for key in ("link", "choices", "quoted_message_id", "answers_message_id", "reaction", "media")
            if key in fields
        }
        delivery = outbox_pb2.ReplyDelivery(
            reply=messages_pb2.Reply(id=fields.pop("id", "rp_1"), text=text, **reply_fields),
            user_id=user_id,
            address=fields.pop("address", "106540352242922"),
            lease_token="lease-1",
            **fields,
        )
        delivery.lease_for.FromMilliseconds(int(seconds * 1000))
        self.hand_out(delivery)
        return delivery

    def file(self, data: bytes, mime_type: str, filename: str = "") -> media_pb2.Media:
        """Keep a file that a reply may contain."""
        ref = f"m_{len(self.files)}"
        self.files[ref] = data
        digest = hashlib.sha256(data).digest()
        return media_pb2.Media(
            media_ref=ref, mime_type=mime_type, filename=filename, size_bytes=len(data), sha256=digest
        )

    def hand_out(self, delivery: outbox_pb2.ReplyDelivery) -> None:
        self._people[delivery.reply.id] = delivery.user_id
        self._outbox.put_nowait(outbox_pb2.PullOutboxResponse(reply=delivery))

    def show_typing(self, address: str, user_id: str, message_id: str) -> None:
        typing = outbox_pb2.Typing(address=address, user_id=user_id, message_id=message_id)
        self._outbox.put_nowait(outbox_pb2.PullOutboxResponse(typing=typing))

    def want(
        self, media_ref: str, media_id: str = "m_1", *, seconds: float = 30, **fields: Any
    ) -> media_pb2.MediaWanted:
        """Request a file from the gateway that pulls."""
        given: dict[str, Any] = {
            "max_bytes": 1_000_000,
            "lease_token": "lease-1",
            "address": "106540352242922",
        } | fields
        wanted = media_pb2.MediaWanted(media_id=media_id, media_ref=media_ref, **given)
        wanted.deadline.FromMilliseconds(int((time.time() + seconds) * 1000))
        self._outbox.put_nowait(outbox_pb2.PullOutboxResponse(media_wanted=wanted))
        return wanted

    def name(self, *nodes: channel_pb2.ServingNode) -> None:
        """The nodes changed: say so over each stream."""
        self.nodes = list(nodes)
        for stream in self.streams:
            stream.put_nowait(channel_pb2.ServeChannelResponse(nodes=nodes))

    def end_stream(self) -> None:
        self._outbox.put_nowait(None)

    async def HandleMessage(  # noqa: N802
        self, request: messages_pb2.HandleMessageRequest, context: Any
    ) -> messages_pb2.HandleMessageResponse:
        await self._enter("HandleMessage", request, context)
        duplicate = any(
            (known.user_id, known.message_id) == (request.user_id, request.message_id) for known in self.messages
        )
        if not duplicate:
            self.messages.append(request)
        await self._leave()
        return messages_pb2.HandleMessageResponse(
            status=messages_pb2.MESSAGE_STATUS_ACCEPTED, duplicate=duplicate, node_id=self.home(request.user_id)
        )

    async def ReportReceipts(  # noqa: N802
        self, request: outbox_pb2.ReportReceiptsRequest, context: Any
    ) -> outbox_pb2.ReportReceiptsResponse:
        await self._enter("ReportReceipts", request, context)
        self.receipts.extend(map(received, request.receipts))
        await self._leave()
        return outbox_pb2.ReportReceiptsResponse(recorded=len(request.receipts))

    async def LinkIdentity(  # noqa: N802
        self, request: identity_pb2.LinkIdentityRequest, context: Any
    ) -> identity_pb2.LinkIdentityResponse:
        await self._enter("LinkIdentity", request, context)
        self.links.append(request)
        await self._leave()
        return identity_pb2.LinkIdentityResponse(outcome=self.link_outcome)

    async def AckOutbox(self, request: outbox_pb2.AckOutboxRequest, context: Any) -> outbox_pb2.AckOutboxResponse:  # noqa: N802
        await self._enter("AckOutbox", request, context)
        self.ack_calls.append(request)
        self.acks.extend(map(acknowledged, request.acknowledgements))
        await self._leave()
        return outbox_pb2.AckOutboxResponse(results=[outbox_pb2.ACK_RESULT_RECORDED] * len(request.acknowledgements))

    async def ReleaseLeases(  # noqa: N802
        self, request: outbox_pb2.ReleaseLeasesRequest, context: Any
    ) -> outbox_pb2.ReleaseLeasesResponse:
        await self._enter("ReleaseLeases", request, context)
        self.releases.append(request)
        await self._leave()
        return outbox_pb2.ReleaseLeasesResponse()

    async def ClaimInvitation(  # noqa: N802
        self, request: outbox_pb2.ClaimInvitationRequest, context: Any
    ) -> outbox_pb2.ClaimInvitationResponse:
        await self._enter("ClaimInvitation", request, context)
        person = self._people[request.reply_id]
        if request.withdraw:
            self.invited.pop(person)
        granted = not request.withdraw and self.invited.setdefault(person, request.instance_id) == request.instance_id
        await self._leave()
        return outbox_pb2.ClaimInvitationResponse(granted=granted, reminder=self.reminders.get(request.reply_id, ""))

    async def UploadMedia(self, requests: AsyncIterator[Any], context: Any) -> media_pb2.UploadMediaResponse:  # noqa: N802
        header = (await anext(requests)).header
        if self.cuts_uploads:
            self.calls.append("UploadMedia")
            await refuse(context, code_pb2.UNAVAILABLE, "DRAINING")
        data = b"".join([request.chunk async for request in requests])
        await asyncio.sleep(0.05)  # a call that was cut off ends like this, too; its cancellation arrives now
        await self._enter("UploadMedia", header, context)
        self.uploads.append((header, data))
        await self._leave()
        return media_pb2.UploadMediaResponse(size_bytes=len(data))

    async def DownloadMedia(  # noqa: N802
        self, request: media_pb2.DownloadMediaRequest, context: Any
    ) -> AsyncIterator[media_pb2.DownloadMediaResponse]:
        await self._enter("DownloadMedia", request, context)
        data = self.files[request.media_ref]
        for start in range(0, len(data), 65536):
            yield media_pb2.DownloadMediaResponse(chunk=data[start : start + 65536])
        await self._leave()

    async def PullOutbox(  # noqa: N802
        self, request: outbox_pb2.PullOutboxRequest, context: Any
    ) -> AsyncIterator[outbox_pb2.PullOutboxResponse]:
        await self._enter("PullOutbox", request, context)
        self.pulls.append(request)
        await self._leave()
        while item := await self._outbox.get():
            yield item

    async def ServeChannel(  # noqa: N802
        self, requests: AsyncIterator[channel_pb2.ServeChannelRequest], context: Any
    ) -> AsyncIterator[channel_pb2.ServeChannelResponse]:
        if not self.serves_streams:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
        attach = (await anext(requests)).attach
        await self._enter("ServeChannel", attach, context)
        self.pulls.append(attach)
        await self._leave()
        responses: asyncio.Queue[channel_pb2.ServeChannelResponse | None] = asyncio.Queue()
        responses.put_nowait(channel_pb2.ServeChannelResponse(node_id=self.node_id, nodes=self.nodes))
        self.streams.add(responses)
        async with self._changed:
            self._changed.notify_all()
        work = {
            asyncio.create_task(self._read(requests, context, responses)),
            asyncio.create_task(self._hand(responses)),
        }
        try:
            while response := await responses.get():
                yield response
        finally:
            self.streams.discard(responses)
            for task in work:
                task.cancel()
            async with self._changed:
                self._changed.notify_all()

    async def _read(
        self, requests: AsyncIterator[channel_pb2.ServeChannelRequest], context: Any, responses: Any
    ) -> None:
        async with asyncio.TaskGroup() as calls:
            async for request in requests:
                for call in request.calls:
                    calls.create_task(self._called(call, context, responses))

    async def _hand(self, responses: Any) -> None:
        while item := await self._outbox.get():
            responses.put_nowait(channel_pb2.ServeChannelResponse(items=[item]))
        responses.put_nowait(None)

    async def _called(self, call: channel_pb2.ChannelCall, context: Any, responses: Any) -> None:
        kind: str = call.WhichOneof("request") or ""
        handlers: dict[str, Any] = {
            "handle_message": self.HandleMessage,
            "ack_outbox": self.AckOutbox,
            "report_receipts": self.ReportReceipts,
        }
        result = channel_pb2.ChannelResult(id=call.id)
        try:
            getattr(result, kind).CopyFrom(await handlers[kind](getattr(call, kind), CallOfStream(context)))
        except RefusedCall as refused:
            code, reason = refused.args
            result.error.CopyFrom(channel_pb2.CallError(code=code, reason=reason))
        responses.put_nowait(channel_pb2.ServeChannelResponse(results=[result]))

    async def _enter(self, method: str, request: Any, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        if metadata.get("authorization") != f"Bearer {TOKEN}":
            await refuse(context, code_pb2.UNAUTHENTICATED, "TOKEN_INVALID")
        self.metadata.append(metadata)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.calls.append(method)
        if not isinstance(context, CallOfStream):
            self.separate_calls.append(method)
        async with self._changed:
            self._changed.notify_all()
        try:
            if gate := self.gates.get(method):
                await gate.wait()
            if refusal := self.refusals.get(method, lambda _: None)(request):
                await refuse(context, *refusal)
        except BaseException:
            self.under_way -= 1
            raise

    async def _leave(self) -> None:
        self.under_way -= 1
        async with self._changed:
            self._changed.notify_all()


@dataclass(frozen=True)
class Told:
    """A flat acknowledgement or receipt. `outcome` is its result's field or stage; `retry_after` is in seconds."""

    part: PartName
    channel_message_id: str
    outcome: str
    error_code: str
    retry_after: float
    lease_token: str = ""
    split_version: str = ""
    media_id: str = ""
    occurred_at: int = 0


def acknowledged(given: outbox_pb2.Acknowledgement) -> Told:
    part, media = given.part, given.media
    return Told(
        named(part.part),
        part.sent.channel_message_id,
        *result_of(part if given.HasField("part") else media),
        lease_token=given.lease_token,
        split_version=part.split_version,
        media_id=media.media_id,
    )


def received(given: outbox_pb2.Receipt) -> Told:
    message_id, occurred_at = given.channel_message_id, given.occurred_at.seconds
    return Told(named(given.part), message_id, *result_of(given), occurred_at=occurred_at)


def named(part: outbox_pb2.ReplyPart) -> PartName:
    return PartName(part.reply_id, part.part, part.parts)


def result_of(given: Any) -> tuple[str, str, float]:
    outcome = given.WhichOneof("result")
    if outcome == "reached":
        return outbox_pb2.DeliveryStage.Name(given.reached).removeprefix("DELIVERY_STAGE_").lower(), "", 0
    result = getattr(given, outcome)
    retry_after = result.retry_after.ToMilliseconds() / 1000 if outcome == "retry" else 0
    return outcome, getattr(result, "error_code", ""), retry_after


class Running:
    """The fake at an address. It can stop and start again with the same state."""

    def __init__(self, fake: FakeKernel, address: str, credentials: grpc.ServerCredentials | None = None) -> None:
        self.fake = fake
        self.address = address
        self._credentials = credentials

    async def start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        kernel_pb2_grpc.add_KernelServiceServicer_to_server(self.fake, self._server)
        servicer = health.aio.HealthServicer()
        await servicer.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, self._server)
        if self._credentials is None:
            port = self._server.add_insecure_port(self.address)
            self.address = self.address.replace(":0", f":{port}") if self.address.endswith(":0") else self.address
        else:
            port = self._server.add_secure_port(self.address, self._credentials)
            self.address = f"dns:///localhost:{port}"
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)
