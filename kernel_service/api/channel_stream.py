"""One stream of a channel: its calls up, and their results and the items of the outbox down.

Results and items that are ready together share one message. The handlers of the separate rpcs answer the calls, within
the same limits.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import grpc
from kernel.v1 import channel_pb2, messages_pb2

from kernel_service.api import bounds, converters, nodes
from kernel_service.api.interceptors import caller, error_for_caller
from kernel_service.errors import CallerError
from serving.cancellation import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from kernel.v1 import outbox_pb2

    from kernel_service.api.channel_admission import ChannelAdmission
    from kernel_service.errors import KernelError
    from kernel_service.ports.cluster import Cluster

    Items = AsyncGenerator[outbox_pb2.PullOutboxResponse]
    Pull = Callable[[outbox_pb2.PullOutboxRequest, Any], Items]
    Handler = Callable[[Any, Any], Awaitable[Any]]
    Done = Callable[[int, str, Any], None]

MOST_UNREAD: Final = 256
"""Calls without a written result beyond which no further message is read."""
GROUP_BYTES: Final = 256 * 1024
"""Items beyond this size wait for a later message."""
_CALLS = channel_pb2.ServeChannelRequest.DESCRIPTOR.fields_by_name["calls"]


class ChannelStream:
    """`pull` leases items for a stream that attaches; it raises `CallerError` before it leases."""

    def __init__(self, cluster: Cluster, calls: ChannelCalls, pull: Pull, context: Any) -> None:
        self._cluster = cluster
        self._calls = calls
        self._pull = pull
        self._context = context
        self._next = channel_pb2.ServeChannelResponse()
        self._next_bytes = 0
        self._unread = 0
        self._ends = False
        """One side has ended, so the stream ends."""
        self._ready = asyncio.Event()
        """There is something to write, or the stream ends."""
        self._idle = _set()
        """The next message takes further items."""
        self._room = _set()
        """A further message may be read."""

    async def responses(
        self, requests: AsyncIterator[channel_pb2.ServeChannelRequest]
    ) -> AsyncGenerator[channel_pb2.ServeChannelResponse]:
        """Ends once the caller has closed its side or the service drains, after the results of the calls read."""
        first = await anext(requests, channel_pb2.ServeChannelRequest())
        if not first.HasField("attach"):
            raise CallerError("FIELD_REQUIRED", "the first message holds `attach`", field="attach")
        bounds.check(first.attach, "attach.")
        items = self._pull(first.attach, self._context)
        self._begin(first)
        pulling = asyncio.create_task(self._pull_items(items))
        sides = [pulling, asyncio.create_task(self._read_calls(requests))]
        for side in sides:
            side.add_done_callback(lambda _: self._end(sides))
        try:
            yield channel_pb2.ServeChannelResponse(nodes=nodes.serving(self._cluster), node_id=self._cluster.me)
            # Without a store no result may come. The caller must receive the end, which ends the leases of the stream.
            while not self._ends or (self._unread and not _has_failed(pulling)):
                await self._ready.wait()
                self._ready.clear()
                while self._next.results or self._next.items or self._next.nodes:
                    response = self._take()
                    yield response
                    self._wrote(response)
        finally:
            self._end(sides)
            ends = await cancel_and_wait(*sides)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    def send_nodes(self) -> None:
        """Send the nodes again: they have changed."""
        del self._next.nodes[:]
        self._next.nodes.extend(nodes.serving(self._cluster))
        self._ready.set()

    def _end(self, sides: Iterable[asyncio.Task[None]]) -> None:
        """Read no more calls and lease no more items: once either has ended, the stream ends."""
        self._ends = True
        for side in sides:
            side.cancel()
        self._ready.set()

    async def _read_calls(self, requests: AsyncIterator[channel_pb2.ServeChannelRequest]) -> None:
        await self._room.wait()
        async for request in requests:
            if request.HasField("attach"):
                raise CallerError("FIELD_INVALID", "only the first message holds `attach`", field="attach")
            self._begin(request)
            await self._room.wait()

    def _begin(self, request: channel_pb2.ServeChannelRequest) -> None:
        if len(request.calls) > bounds.bound_of(_CALLS).items:
            raise CallerError(
                "FIELD_INVALID", f"`calls` may hold at most {bounds.bound_of(_CALLS).items}", field="calls"
            )
        self._unread += len(request.calls)
        if self._unread >= MOST_UNREAD:
            self._room.clear()
        for call in request.calls:
            self._calls.begin(call, self._context, self._done)

    def _done(self, call_id: int, kind: str, answer: Any) -> None:
        self._next.results.add(id=call_id, **{kind: answer})
        self._ready.set()

    async def _pull_items(self, items: Items) -> None:
        async with aclosing(items):
            async for item in items:
                self._next.items.append(item)
                self._next_bytes += item.ByteSize()
                self._ready.set()
                if self._next_bytes >= GROUP_BYTES:
                    self._idle.clear()
                await self._idle.wait()  # an item that waited longer would overstate the time of its lease

    def _take(self) -> channel_pb2.ServeChannelResponse:
        taken = self._next
        self._next, self._next_bytes = channel_pb2.ServeChannelResponse(), 0
        self._idle.clear()
        return taken

    def _wrote(self, response: channel_pb2.ServeChannelResponse) -> None:
        self._idle.set()
        self._unread -= len(response.results)
        if self._unread < MOST_UNREAD:
            self._room.set()


def _has_failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


class ChannelCalls:
    """Answers the calls of all streams. One per process. `handlers` by the fields of `ChannelCall.request`."""

    def __init__(self, handlers: Mapping[str, Handler], admission: ChannelAdmission) -> None:
        self._handlers = handlers
        self._rpcs = {kind: kind.title().replace("_", "") for kind in handlers}
        self._admission = admission
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, call: channel_pb2.ChannelCall, context: Any, done: Done) -> None:
        """Run the call to its end, also if its stream ends meanwhile.

        `done` gets its id, and the field and the value of `ChannelResult.result`.
        """
        task = asyncio.create_task(self._run(call, context, done))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, call: channel_pb2.ChannelCall, context: Any, done: Done) -> None:
        kind = call.WhichOneof("request")
        try:
            answer = await self._answer(kind, call, context)
        except Exception as error:  # noqa: BLE001 - any error ends as a status
            done(call.id, "error", call_error(error_for_caller(error, f"ServeChannel/{kind}")))
        else:
            done(call.id, str(kind), answer)

    async def _answer(self, kind: str | None, call: channel_pb2.ChannelCall, context: Any) -> Any:
        if kind is None:
            raise CallerError("FIELD_REQUIRED", "the call holds no request that is known here", field="request")
        request, channel = getattr(call, kind), caller.get()
        with self._admission.call(channel, self._rpcs[kind], request.ByteSize()):
            bounds.check(request)
            if kind == "handle_message" and request.reply_mode != messages_pb2.REPLY_MODE_OUTBOX:
                raise CallerError("FIELD_INVALID", "a stream takes only REPLY_MODE_OUTBOX", field="reply_mode")
            return await self._handlers[kind](request, context)


def call_error(error: KernelError) -> channel_pb2.CallError:
    """As `interceptors.rich_status`, in a message."""
    violation = channel_pb2.FieldViolation(field=error.field, description=error.sentence)
    return channel_pb2.CallError(
        code=grpc.StatusCode[error.status].value[0],
        message=error.sentence,
        reason=error.reason,
        metadata=error.metadata,
        retry_delay=None if error.retry_after is None else converters.duration(error.retry_after),
        field_violations=[violation] if error.field else [],
    )
