"""One stream to a kernel service: calls up, their results and the items of the outbox down."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heapify, heappop, heappush
from typing import Any, Final

import grpc
from google.rpc import code_pb2
from kernel.v1 import channel_pb2, outbox_pb2

from kernel_client.errors import KernelError, error_in, error_of, is_cancelled

MOST_CALLS: Final = 256
GROUP_BYTES: Final = 1024 * 1024
"""The limits of one message; one call more may exceed the bytes."""
SILENT_SECONDS: Final = 1.0
"""A service that says nothing for this time, while calls wait for it, is probably frozen or cut off."""

_Open = Callable[[AsyncIterator[channel_pb2.ServeChannelRequest]], Any]


class Unanswered(Exception):
    """The stream gives no result of a call: it ended, is silent, or its node is unavailable. The call may be
    repeated.
    """


@dataclass(slots=True)
class _Pending:
    kind: str
    request: Any
    result: asyncio.Future[Any]


class ChannelStream:
    """Calls that are ready together share a message. One timer serves the deadlines of all.

    It reads results only while `read` runs. `on_nodes` is called with the first response, and
    whenever the service names its nodes; an exception of it ends the stream.
    """

    def __init__(
        self,
        open_stream: _Open,
        attach: outbox_pb2.PullOutboxRequest,
        on_nodes: Callable[["ChannelStream", Sequence[channel_pb2.ServingNode]], None] = lambda *_: None,
    ) -> None:
        self._attach = attach
        self._on_nodes = on_nodes
        self._ids = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._unsent: deque[int] = deque()
        self._sendable = asyncio.Event()
        self._deadlines: list[tuple[float, int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._is_late = False
        self.is_open = False
        """Whether the service serves it, so that it takes calls."""
        self.is_avoided = False
        """It was silent: calls go elsewhere if they can, until the service says something."""
        self.node_id = ""
        """The node that serves it; empty: not known."""
        self._waiting_since = 0.0
        self._stream = open_stream(self._requests())

    async def call(self, kind: str, request: Any, deadline: float) -> Any:
        """The response to a call, by its field in `ChannelCall`, until a time of the loop.

        Raises `KernelError`, `Unanswered`.
        """
        loop = asyncio.get_running_loop()
        call_id = next(self._ids)
        result = loop.create_future()
        if not self._pending:
            self._waiting_since = loop.time()
        self._pending[call_id] = _Pending(kind, request, result)
        self._unsent.append(call_id)
        self._sendable.set()
        self._remember_deadline(deadline, call_id)
        if self._timer is None or deadline < self._timer.when():
            self._set_timer(deadline)
        try:
            return await result
        finally:
            self._pending.pop(call_id, None)

    async def read(self, take: Callable[[outbox_pb2.PullOutboxResponse, str], None]) -> None:
        """Settle the calls, and pass on the items with the node that sent them, until the stream ends.

        Raises `KernelError`, and what `take` raises.
        """
        try:
            async for response in self._stream:
                self.is_avoided = False
                self._waiting_since = asyncio.get_running_loop().time()
                self.node_id = response.node_id or self.node_id
                if not self.is_open or response.nodes:
                    self._learn_nodes(response)
                for result in response.results:
                    self._settle(result)
                for item in response.items:
                    take(item, self.node_id)
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from None
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            # By the library, after a fault while it wrote.
            raise KernelError("UNREACHABLE" if self._is_late else "CANCELLED") from None
        finally:
            self.close()

    def is_silent(self) -> bool:
        """Whether calls wait, and the service has said nothing for SILENT_SECONDS."""
        return bool(self._pending) and asyncio.get_running_loop().time() - self._waiting_since > SILENT_SECONDS

    def avoid(self) -> None:
        """Let its calls be repeated elsewhere: they raise `Unanswered`."""
        self.is_avoided = True
        self._fail(list(self._pending), Unanswered)

    def close_unless_open(self) -> None:
        """End the stream if the service does not serve it yet: `read` raises UNREACHABLE."""
        if not (self.is_open or self._closed):
            self._is_late = True
            self.close()

    def close(self) -> None:
        """End the stream. Calls without a result raise `Unanswered`."""
        self._closed, self.is_open = True, False
        self._stream.cancel()
        self._sendable.set()
        if self._timer is not None:
            self._timer.cancel()
        self._fail(list(self._pending), Unanswered)

    async def _requests(self) -> AsyncIterator[channel_pb2.ServeChannelRequest]:
        yield channel_pb2.ServeChannelRequest(attach=self._attach)
        while not self._closed:
            await self._sendable.wait()
            self._sendable.clear()
            while self._unsent:
                if (group := self._group()).calls:
                    yield group

    def _group(self) -> channel_pb2.ServeChannelRequest:
        """The oldest calls whose callers still wait."""
        group = channel_pb2.ServeChannelRequest()
        size = 0
        while self._unsent and len(group.calls) < MOST_CALLS and size < GROUP_BYTES:
            call_id = self._unsent.popleft()
            if (pending := self._pending.get(call_id)) is not None:
                call: Any = {pending.kind: pending.request}
                size += group.calls.add(id=call_id, **call).ByteSize()
        return group

    def _learn_nodes(self, response: channel_pb2.ServeChannelResponse) -> None:
        """The first response, and each one after a change of the nodes, name them."""
        self.is_open = not self._closed
        self._on_nodes(self, response.nodes)

    def _settle(self, result: channel_pb2.ChannelResult) -> None:
        pending = self._pending.pop(result.id, None)
        if pending is None or pending.result.done():  # its caller no longer waits
            return
        kind = result.WhichOneof("result")
        if kind == pending.kind:
            pending.result.set_result(getattr(result, kind))
        elif kind == "error" and result.error.code == code_pb2.UNAVAILABLE:
            pending.result.set_exception(Unanswered())
        elif kind == "error":
            pending.result.set_exception(error_in(result.error))
        else:
            pending.result.set_exception(KernelError("INTERNAL"))

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        due = []
        while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][1] not in self._pending):
            due.append(heappop(self._deadlines)[1])
        self._fail(due, partial(KernelError, "DEADLINE_EXCEEDED"))
        self._timer = None
        if self._deadlines:
            self._set_timer(self._deadlines[0][0])

    def _remember_deadline(self, deadline: float, call_id: int) -> None:
        """Those of settled calls are dropped in between: some lie a day ahead."""
        if len(self._deadlines) > MOST_CALLS + 2 * len(self._pending):
            self._deadlines = [each for each in self._deadlines if each[1] in self._pending]
            heapify(self._deadlines)
        heappush(self._deadlines, (deadline, call_id))

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._expire)

    def _fail(self, call_ids: Iterable[int], problem: Callable[[], Exception]) -> None:
        for call_id in call_ids:
            pending = self._pending.pop(call_id, None)
            if pending is not None and not pending.result.done():
                pending.result.set_exception(problem())
