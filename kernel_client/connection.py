"""The calls of the contract, over the open streams or one by one."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Any, Final, TypeVar

import grpc
from grpc_health.v1 import health_pb2
from kernel.v1 import channel_pb2, media_pb2, messages_pb2, outbox_pb2

from kernel_client.acks import Ack
from kernel_client.address import SERVICE, KernelAddress
from kernel_client.errors import KernelError, error_of, is_cancelled
from kernel_client.nodes import Nodes
from kernel_client.routes import Route, route_to_address
from kernel_client.stream import ChannelStream, Unanswered
from kernel_client.streams import Streams
from serving.tls_problems import SECONDS as TLS_SECONDS

MOST_AT_ONCE: Final = 1000
"""Acknowledgements or receipts per call."""
MOST_BYTES: Final = 2 * 1024 * 1024
"""Of one request: half of what the service reads at once, so that calls of other people fit into the same message. A
larger message would end the stream that carries it, for everybody.
"""
OTHER_NODE: Final = "OTHER_NODE"
"""The reason of a `KernelError`: an address leads to another node than the one that has it."""
OPENING_SECONDS: Final = 5.0
"""How long a node, or what answers at the service's address, may take to serve a stream."""

REFUSED_TOKEN: Final = frozenset({"TOKEN_MISSING", "TOKEN_INVALID", "UNAUTHENTICATED"})

_Metadata = tuple[tuple[str, str], ...]
_Answer = TypeVar("_Answer")


class KernelConnection:
    """Every call raises `KernelError` if the service rejects it, and repeats nothing that may have been rejected.

    Timeouts are in seconds. `handle`, `acknowledge` and `report` go over the open streams. Without one they are
    separate calls, as all others are, to any node that is connected. Create it inside the running loop.
    """

    def __init__(self, address: KernelAddress, token: str) -> None:
        self.address = address
        self.bootstrap = route_to_address(address)
        """The way through the service's own address."""
        self.bootstrap_node = ""
        """The node that served the last stream of the bootstrap route; empty: unknown."""
        self.nodes = Nodes()
        self._bearer: _Metadata = (("authorization", f"Bearer {token}"),)
        self._streams = Streams()
        self._to_nodes: list[Route] = []
        self._is_admitted = False

    def may_pass(self, error: KernelError) -> bool:
        """Whether the call may succeed later. A token that the service has never accepted is a wrong setting; one that
        it has accepted may be valid again, as when a node has not got the new setting yet.
        """
        return error.retryable and (self._is_admitted or error.reason not in REFUSED_TOKEN)

    @property
    def _route(self) -> Route:
        """The way for a separate call: the address, or a node that is connected while that leads nowhere."""
        return next((route for route in (self.bootstrap, *self._to_nodes) if route.is_connected), self.bootstrap)

    async def connect(self, timeout: float) -> None:
        """Return once any node is connected.

        `KernelError` UNREACHABLE, or what is wrong with TLS: none within `timeout` and CONNECT_SECONDS.
        """
        if self._route.is_connected:
            return
        ends = asyncio.get_running_loop().time() + timeout
        try:
            await self.bootstrap.connect(timeout)
        except KernelError as error:
            left = ends - asyncio.get_running_loop().time()
            raise await self.explained(error, self._route, left) from None

    async def explained(self, error: KernelError, route: Route, seconds: float = TLS_SECONDS) -> KernelError:
        """The same error, or what is wrong with TLS if that keeps calls from the route, within `seconds`."""
        if route.is_connected or seconds <= 0:
            return error
        return await route.tls.of(error, min(seconds, TLS_SECONDS))

    async def close(self) -> None:
        """End all calls."""
        await self.bootstrap.close()

    # --- messages, acknowledgements, receipts ---------------------------------------------------------------------

    async def handle(
        self, request: messages_pb2.HandleMessageRequest, timeout: float
    ) -> messages_pb2.HandleMessageResponse:
        """Submit a message whose replies come through the outbox; it is durable after the return."""
        node_id = self._streams.node_of(request.user_id) if self._streams.several else ""
        answer: messages_pb2.HandleMessageResponse = await self._call("handle_message", request, timeout, node_id)
        if self._streams.several:
            self._streams.remember(request.user_id, answer.node_id)
        return answer

    async def report(self, receipts: Sequence[outbox_pb2.Receipt], timeout: float) -> None:
        """Report what the network says of sent parts, at most MOST_AT_ONCE."""
        await self._call("report_receipts", outbox_pb2.ReportReceiptsRequest(receipts=receipts), timeout)

    async def acknowledge(self, acks: Sequence[Ack], timeout: float) -> Sequence[int]:
        """Settle leased items, at most MOST_AT_ONCE; one result for each, in their order.

        Each goes to the node that leased it, if it can: that node then leases the next one at once.
        """
        if not self._streams.several:
            return await self._settle(acks, timeout)
        by_node: defaultdict[str, list[int]] = defaultdict(list)
        for place, ack in enumerate(acks):
            by_node[ack.node_id].append(place)
        if len(by_node) == 1:
            return await self._settle(acks, timeout)
        groups = list(by_node.values())
        settled = await asyncio.gather(*(self._settle([acks[place] for place in group], timeout) for group in groups))
        results: list[int] = [outbox_pb2.ACK_RESULT_INVALID] * len(acks)
        for group, their_results in zip(groups, settled, strict=True):
            for place, result in zip(group, their_results, strict=False):
                results[place] = result
        return results

    async def _settle(self, acks: Sequence[Ack], timeout: float) -> Sequence[int]:
        """Those of one node's leases."""
        request = outbox_pb2.AckOutboxRequest(acknowledgements=[ack.message for ack in acks])
        answer = await self._call("ack_outbox", request, timeout, node_id=acks[0].node_id)
        results: Sequence[int] = answer.results
        return results

    async def fail_media(self, failure: outbox_pb2.Acknowledgement, timeout: float) -> None:
        """Report that a file that a person sent is unavailable."""
        await self._call("ack_outbox", outbox_pb2.AckOutboxRequest(acknowledgements=[failure]), timeout)

    async def _call(self, kind: str, request: Any, timeout: float, node_id: str = "") -> Any:
        """The response, over an open stream or else by the rpc. `kind` is the field of the request in `ChannelCall`.

        A call that a stream leaves unanswered is repeated over the next one, and at last by its rpc, which waits for
        a node that serves. The service recognises what it has done. node_id: the node to prefer.
        """
        _check_size(request)
        deadline = asyncio.get_running_loop().time() + timeout
        tried: list[ChannelStream] = []
        while (stream := self._streams.best(node_id, tried)) is not None:
            try:
                return await stream.call(kind, request, deadline)
            except Unanswered:
                tried.append(stream)
        remaining = max(0.0, deadline - asyncio.get_running_loop().time())
        return await self._answer(self._route.calls[kind](request, timeout=remaining, metadata=self._bearer))

    # --- all other calls ------------------------------------------------------------------------------------------

    async def rpc(self, name: str, request: Any, timeout: float) -> Any:
        """One separate call of `KernelService`, by its name in the contract."""
        _check_size(request)
        return await self._answer(getattr(self._route.stub, name)(request, timeout=timeout, metadata=self._bearer))

    def read(self, name: str, request: Any, timeout: float | None) -> AsyncGenerator[Any]:
        """The responses of a call of `KernelService` that answers with a stream; close the generator."""
        _check_size(request)
        return self._responses(getattr(self._route.stub, name)(request, timeout=timeout, metadata=self._bearer))

    async def release(self, instance_id: str, in_hand: Sequence[str], timeout: float) -> None:
        """Release all leases of this process except those in progress (at most MOST_AT_ONCE)."""
        await self.rpc(
            "ReleaseLeases", outbox_pb2.ReleaseLeasesRequest(instance_id=instance_id, in_hand=in_hand), timeout
        )

    async def upload(self, header: media_pb2.UploadMediaHeader, pieces: AsyncIterable[bytes]) -> None:
        """Stream a file's bytes. An exception of the pieces is raised here, and then nothing is stored."""
        call = self._route.stub.UploadMedia(metadata=self._bearer)
        try:
            await call.write(media_pb2.UploadMediaRequest(header=header))
            async for piece in pieces:
                await call.write(media_pb2.UploadMediaRequest(chunk=piece))
            await call.done_writing()
        except asyncio.InvalidStateError:
            pass  # it was rejected in mid-stream: the call gives the reason
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from None
        except BaseException:
            call.cancel()
            raise
        await self._answer(call)

    async def download(self, ref: str, timeout: float) -> bytes:
        """A reply's whole file."""
        request = media_pb2.DownloadMediaRequest(media_ref=ref)
        async with aclosing(self.read("DownloadMedia", request, timeout)) as pieces:
            return b"".join([piece.chunk async for piece in pieces])

    async def ready(self, timeout: float) -> bool:
        """Whether a node reports that it is serving."""
        return await self.problem(timeout) is None

    async def problem(self, timeout: float) -> KernelError | None:
        """Why no node reports that it is serving; None: one does."""
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        try:
            answer = await _result(self._route.health.Check(request, timeout=timeout))
        except KernelError as error:
            return await self.explained(error, self._route)
        return None if answer.status == health_pb2.HealthCheckResponse.SERVING else KernelError("DRAINING")

    # --- streams --------------------------------------------------------------------------------------------------

    @property
    def open_streams(self) -> int:
        """How many streams carry calls."""
        return self._streams.open

    async def pull(
        self,
        route: Route,
        request: outbox_pb2.PullOutboxRequest,
        take: Callable[[outbox_pb2.PullOutboxResponse, str], None],
    ) -> None:
        """Pass on items, each with the node that sent it, until the service drains or `take` raises an exception.

        Their stream also carries calls. Several may be open, each with its own instance_id. Without a stream, as with
        an older service, each call is separate. Raises `KernelError` OTHER_NODE if another node than the route's
        answers, which may have leased items to this instance_id.
        """
        open_stream: Callable[..., Any] = partial(route.stub.ServeChannel, metadata=self._bearer)
        stream = ChannelStream(open_stream, request, partial(self._heard, route))
        self._streams.add(stream)
        if route is not self.bootstrap:
            self._to_nodes = [route, *(each for each in self._to_nodes if each is not route and not each.is_closed)]
        opening = asyncio.get_running_loop().call_later(OPENING_SECONDS, stream.close_unless_open)
        try:
            await stream.read(take)
        except KernelError as refusal:
            if refusal.reason != grpc.StatusCode.UNIMPLEMENTED.name:
                raise
            # An older service has no ServeChannel.
            await self._pull_alone(route.stub.PullOutbox(request, metadata=self._bearer), take)
        finally:
            opening.cancel()
            stream.close()
            self._streams.discard(stream)
            self.nodes.ended(stream)

    async def _pull_alone(self, call: Any, take: Callable[[outbox_pb2.PullOutboxResponse, str], None]) -> None:
        """The items of PullOutbox. `KernelError` UNREACHABLE: it is not served within OPENING_SECONDS."""
        async with aclosing(self._responses(call)) as items:
            if not await _is_served(call):
                raise KernelError("UNREACHABLE")
            async for item in items:
                take(item, "")

    def _heard(self, route: Route, stream: ChannelStream, nodes: Sequence[channel_pb2.ServingNode]) -> None:
        if route is self.bootstrap:
            self.bootstrap_node = stream.node_id
        elif stream.node_id != route.node_id:
            raise KernelError(OTHER_NODE)
        self._is_admitted = True
        self.nodes.heard(stream, nodes)

    async def _answer(self, call: Awaitable[_Answer]) -> _Answer:
        answer = await _result(call)
        self._is_admitted = True
        return answer

    async def _responses(self, call: Any) -> AsyncGenerator[Any]:
        try:
            with _as_kernel_errors():
                async for response in call:
                    self._is_admitted = True
                    yield response
        finally:
            call.cancel()


def _check_size(request: Any) -> None:
    if request.ByteSize() > MOST_BYTES:
        raise KernelError("PAYLOAD_TOO_LARGE", message=f"a request may hold at most {MOST_BYTES} bytes")


async def _is_served(call: Any) -> bool:
    """Whether headers come within OPENING_SECONDS, or an error, which the call raises to its reader."""
    headers = asyncio.ensure_future(call.initial_metadata())
    try:
        done, _ = await asyncio.wait([headers], timeout=OPENING_SECONDS)
    finally:
        headers.cancel()
    return bool(done)


async def _result(call: Awaitable[_Answer]) -> _Answer:
    with _as_kernel_errors():
        return await call


@contextmanager
def _as_kernel_errors() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise error_of(error) from None
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise KernelError("CANCELLED") from None  # by `close`
