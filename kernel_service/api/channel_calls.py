"""The calls of a channel's stream, answered by the handlers of the separate rpcs, within the same limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
from kernel.v1 import channel_pb2, messages_pb2

from kernel_service.api import bounds, converters
from kernel_service.api.interceptors import caller, told
from kernel_service.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kernel_service.api.channel_admission import ChannelAdmission
    from kernel_service.errors import KernelError

    Handler = Callable[[Any, Any], Awaitable[Any]]
    Done = Callable[[int, str, Any], None]


class ChannelCalls:
    """One per process. `handlers` by the fields of `ChannelCall.request`."""

    def __init__(self, handlers: Mapping[str, Handler], room: ChannelAdmission) -> None:
        self._handlers = handlers
        self._rpcs = {kind: kind.title().replace("_", "") for kind in handlers}
        self._room = room
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
            done(call.id, "error", call_error(told(error, f"ServeChannel/{kind}")))
        else:
            done(call.id, str(kind), answer)

    async def _answer(self, kind: str | None, call: channel_pb2.ChannelCall, context: Any) -> Any:
        if kind is None:
            raise CallerError("FIELD_REQUIRED", "the call holds no request that is known here", field="request")
        request, channel = getattr(call, kind), caller.get()
        with self._room.call(channel, self._rpcs[kind]), self._room.holding(channel, request.ByteSize()):
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
