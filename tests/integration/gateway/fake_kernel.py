"""A kernel service over real gRPC that keeps everything in memory and refuses on request."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from kernel.v1 import kernel_pb2 as pb
from kernel.v1 import kernel_pb2_grpc

TOKEN = "channel-token"
SERVICE = "kernel.v1.KernelService"

Refuse = Callable[[Any], tuple[int, str] | None]


async def refuse(context: Any, code: int, reason: str) -> None:
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="kernel.v1"))
    await context.abort_with_status(rpc_status.to_status(status_pb2.Status(code=code, details=[info])))


class FakeKernel(kernel_pb2_grpc.KernelServiceServicer):
    """`refusals` tells by method what is refused; `gates` holds a method's calls until the event is set."""

    def __init__(self) -> None:
        self.messages: list[pb.HandleMessageRequest] = []
        self.receipts: list[pb.Receipt] = []
        self.links: list[pb.LinkIdentityRequest] = []
        self.acks: list[pb.Acknowledgement] = []
        self.ack_calls: list[pb.AckRepliesRequest] = []
        self.uploads: list[tuple[pb.UploadMediaHeader, bytes]] = []
        self.cuts_uploads = False
        self.files: dict[str, bytes] = {}
        self.pulls: list[pb.PullRepliesRequest] = []
        self.releases: list[pb.ReleaseRepliesRequest] = []
        self.metadata: list[dict[str, str]] = []
        self.calls: list[str] = []
        self.link_outcome: Any = pb.LINK_OUTCOME_LINKED
        self.refusals: dict[str, Refuse] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.under_way = 0
        self.most_under_way = 0
        self._outbox: asyncio.Queue[pb.PullRepliesResponse | None] = asyncio.Queue()
        self._changed = asyncio.Condition()

    async def until(self, what: Callable[[], Any], timeout: float = 30) -> None:
        """Return once it holds; it is looked at after each call."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(what)

    def texts_of(self, user_id: str) -> list[str]:
        return [message.payload.text for message in self.messages if message.user_id == user_id]

    def lease(self, text: str = "", *, user_id: str, seconds: float = 30, **fields: Any) -> pb.ReplyDelivery:
        """Hand out a reply to whoever pulls."""
        reply_fields = {
            key: fields.pop(key)
            for key in ("link", "choices", "quoted_message_id", "answers_message_id", "reaction", "media")
            if key in fields
        }
        delivery = pb.ReplyDelivery(
            reply=pb.Reply(id=fields.pop("id", "rp_1"), text=text, **reply_fields),
            user_id=user_id,
            address=fields.pop("address", "106540352242922"),
            lease_token="lease-1",
            **fields,
        )
        # Nobody's clock but the gateway's own counts.
        delivery.lease_expires_at.FromMilliseconds(int((time.time() - 3600) * 1000))
        delivery.lease_for.FromMilliseconds(int(seconds * 1000))
        self.hand_out(delivery)
        return delivery

    def file(self, data: bytes, mime_type: str, filename: str = "") -> pb.Media:
        """Keep a file that a reply may bear."""
        ref = f"m_{len(self.files)}"
        self.files[ref] = data
        digest = hashlib.sha256(data).digest()
        return pb.Media(media_ref=ref, mime_type=mime_type, filename=filename, size_bytes=len(data), sha256=digest)

    def hand_out(self, delivery: pb.ReplyDelivery) -> None:
        self._outbox.put_nowait(pb.PullRepliesResponse(reply=delivery))

    def show_typing(self, address: str, user_id: str, message_id: str) -> None:
        typing = pb.Typing(address=address, user_id=user_id, message_id=message_id)
        self._outbox.put_nowait(pb.PullRepliesResponse(typing=typing))

    def want(self, media_ref: str, media_id: str = "m_1", *, seconds: float = 30, **fields: Any) -> pb.MediaWanted:
        """Ask whoever pulls for a file."""
        given: dict[str, Any] = {
            "max_bytes": 1_000_000,
            "lease_token": "lease-1",
            "address": "106540352242922",
        } | fields
        wanted = pb.MediaWanted(media_id=media_id, media_ref=media_ref, **given)
        wanted.deadline.FromMilliseconds(int((time.time() + seconds) * 1000))
        self._outbox.put_nowait(pb.PullRepliesResponse(media_wanted=wanted))
        return wanted

    def end_stream(self) -> None:
        self._outbox.put_nowait(None)

    async def HandleMessage(self, request: pb.HandleMessageRequest, context: Any) -> pb.HandleMessageResponse:  # noqa: N802
        await self._enter("HandleMessage", request, context)
        duplicate = any(
            (known.user_id, known.message_id) == (request.user_id, request.message_id) for known in self.messages
        )
        if not duplicate:
            self.messages.append(request)
        await self._leave()
        return pb.HandleMessageResponse(status=pb.MESSAGE_STATUS_ACCEPTED, duplicate=duplicate)

    async def ReportReceipts(  # noqa: N802
        self, request: pb.ReportReceiptsRequest, context: Any
    ) -> pb.ReportReceiptsResponse:
        await self._enter("ReportReceipts", request, context)
        self.receipts.extend(request.receipts)
        await self._leave()
        return pb.ReportReceiptsResponse(recorded=len(request.receipts))

    async def LinkIdentity(self, request: pb.LinkIdentityRequest, context: Any) -> pb.LinkIdentityResponse:  # noqa: N802
        await self._enter("LinkIdentity", request, context)
        self.links.append(request)
        await self._leave()
        return pb.LinkIdentityResponse(outcome=self.link_outcome)

    async def AckReplies(self, request: pb.AckRepliesRequest, context: Any) -> pb.AckRepliesResponse:  # noqa: N802
        await self._enter("AckReplies", request, context)
        self.ack_calls.append(request)
        self.acks.extend(request.acknowledgements)
        await self._leave()
        return pb.AckRepliesResponse(results=[pb.ACK_RESULT_RECORDED] * len(request.acknowledgements))

    async def ReleaseReplies(  # noqa: N802
        self, request: pb.ReleaseRepliesRequest, context: Any
    ) -> pb.ReleaseRepliesResponse:
        await self._enter("ReleaseReplies", request, context)
        self.releases.append(request)
        await self._leave()
        return pb.ReleaseRepliesResponse()

    async def UploadMedia(self, requests: AsyncIterator[Any], context: Any) -> pb.UploadMediaResponse:  # noqa: N802
        header = (await anext(requests)).header
        if self.cuts_uploads:
            self.calls.append("UploadMedia")
            await refuse(context, code_pb2.UNAVAILABLE, "DRAINING")
        data = b"".join([request.chunk async for request in requests])
        await asyncio.sleep(0.05)  # a call that was cut off ends like this too, and is cancelled now
        await self._enter("UploadMedia", header, context)
        self.uploads.append((header, data))
        await self._leave()
        return pb.UploadMediaResponse(size_bytes=len(data))

    async def DownloadMedia(  # noqa: N802
        self, request: pb.DownloadMediaRequest, context: Any
    ) -> AsyncIterator[pb.DownloadMediaResponse]:
        await self._enter("DownloadMedia", request, context)
        data = self.files[request.media_ref]
        for start in range(0, len(data), 65536):
            yield pb.DownloadMediaResponse(chunk=data[start : start + 65536])
        await self._leave()

    async def PullReplies(  # noqa: N802
        self, request: pb.PullRepliesRequest, context: Any
    ) -> AsyncIterator[pb.PullRepliesResponse]:
        await self._enter("PullReplies", request, context)
        self.pulls.append(request)
        await self._leave()
        while item := await self._outbox.get():
            yield item

    async def _enter(self, method: str, request: Any, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        if metadata.get("authorization") != f"Bearer {TOKEN}":
            await refuse(context, code_pb2.UNAUTHENTICATED, "TOKEN_INVALID")
        self.metadata.append(metadata)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.calls.append(method)
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


class Running:
    """The fake at an address; it can go away and come back with what it knows."""

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
            self._server.add_insecure_port(self.address)
        else:
            port = self._server.add_secure_port(self.address, self._credentials)
            self.address = f"dns:///localhost:{port}"
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)
