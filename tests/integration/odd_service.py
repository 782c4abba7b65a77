"""A kernel service that breaks off, or answers nonsense or nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from kernel.v1 import channel_pb2, kernel_pb2_grpc, media_pb2, messages_pb2, outbox_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class OddService(kernel_pb2_grpc.KernelServiceServicer):
    """`breaks`: a turn's stream breaks after the answer, or else stays. `settled`: the results of acknowledgements.

    `halves`: the number of streams of turns that end in order before the answer. `unserved`: the number of streams of
    the outbox that get no word. No upload gets any. `damages`: a message is refused with details that cannot be read.
    Without `serves_channels` it is an older service. `busy_for`: the first stream of the outbox is to come again after
    these seconds. `denials`: the number of separate acknowledgements whose token is refused.
    It names the `nodes`.
    """

    def __init__(self) -> None:
        self.address = ""
        self.breaks = True
        self.damages = False
        self.halves = 0
        self.unserved = 0
        self.serves_channels = True
        self.busy_for = 0
        self.denials = 0
        self.nodes: list[channel_pb2.ServingNode] = []
        self.acks: list[outbox_pb2.Acknowledgement] = []
        self.began: list[float] = []
        self.streams = 0
        self.calls = 0
        self.settled = [outbox_pb2.ACK_RESULT_RECORDED]

    async def HandleMessage(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.calls += 1
        if self.damages:
            context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\xff"),))
            await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
        await asyncio.Event().wait()

    async def StreamMessage(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        self.calls += 1
        yield messages_pb2.StreamMessageResponse(text_delta=messages_pb2.TextDelta(text="Hel"))
        if self.calls <= self.halves:
            return
        completed = messages_pb2.HandleMessageResponse(replies=[messages_pb2.Reply(text="Hello.")])
        yield messages_pb2.StreamMessageResponse(completed=completed)
        if self.breaks:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
        await asyncio.Event().wait()

    async def ReleaseLeases(self, request: Any, context: Any) -> Any:  # noqa: N802
        return outbox_pb2.ReleaseLeasesResponse()

    async def AckOutbox(self, request: Any, context: Any) -> Any:  # noqa: N802
        if self.denials:
            self.denials -= 1
            await _refuse(context, code_pb2.UNAUTHENTICATED, "TOKEN_INVALID")
        self.acks += request.acknowledgements
        return outbox_pb2.AckOutboxResponse(results=self.settled)

    async def UploadMedia(self, requests: Any, context: Any) -> Any:  # noqa: N802
        await asyncio.Event().wait()

    async def PullOutbox(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        await self._begin(context)
        yield outbox_pb2.PullOutboxResponse(reply=_leased())
        await asyncio.Event().wait()

    async def ServeChannel(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        if not self.serves_channels:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "unknown")
        await self._begin(context)
        first = await anext(requests)
        if outbox_pb2.OUTBOX_ITEM_KIND_MEDIA_WANTED in first.attach.kinds:
            wanted = media_pb2.MediaWanted(media_id="m_1", media_ref="file-1", max_bytes=2**30)
            yield channel_pb2.ServeChannelResponse(
                node_id="k_1", items=[outbox_pb2.PullOutboxResponse(media_wanted=wanted)]
            )
        yield channel_pb2.ServeChannelResponse(
            node_id="k_1", nodes=self.nodes, items=[outbox_pb2.PullOutboxResponse(reply=_leased())]
        )
        async for request in requests:
            for call in request.calls:
                answer = outbox_pb2.AckOutboxResponse(results=self.settled)
                yield channel_pb2.ServeChannelResponse(
                    results=[channel_pb2.ChannelResult(id=call.id, ack_outbox=answer)]
                )

    async def _begin(self, context: Any) -> None:
        self.streams += 1
        self.began.append(time.monotonic())
        if self.busy_for and self.streams == 1:
            await _refuse(context, code_pb2.RESOURCE_EXHAUSTED, "CHANNEL_BUSY", self.busy_for)
        if self.streams <= self.unserved:
            await asyncio.Event().wait()


async def _refuse(context: Any, code: int, reason: str, seconds: int = 0) -> None:
    info, delay = any_pb2.Any(), any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="kernel.v1"))
    delay.Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=seconds)))
    await context.abort_with_status(rpc_status.to_status(status_pb2.Status(code=code, details=[info, delay])))


def _leased() -> outbox_pb2.ReplyDelivery:
    leased = outbox_pb2.ReplyDelivery(reply=messages_pb2.Reply(id="rp_1"), user_id="telegram:ada", lease_token="lease")
    leased.lease_for.seconds = 60
    return leased


@asynccontextmanager
async def odd_service(pem: bytes = b"") -> AsyncIterator[OddService]:
    """`pem` is the key with the certificate of localhost; empty: plain text."""
    odd = OddService()  # type: ignore[abstract]  # the others are not called
    server = grpc.aio.server()
    kernel_pb2_grpc.add_KernelServiceServicer_to_server(odd, server)
    if pem:
        port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([(pem, pem)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    odd.address = f"{'localhost' if pem else '127.0.0.1'}:{port}"
    await server.start()
    yield odd
    await server.stop(None)
