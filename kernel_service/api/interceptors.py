"""The interceptor of all RPCs: authentication, admission, receiving the request, and the status of errors.

A call is admitted by its metadata alone, before any of its request is received. An exception's text is never sent.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from kernel_service.api import bounds
from kernel_service.api.channel_admission import is_stranger, stranger
from kernel_service.api.time_limits import InTime, TimeLimit
from kernel_service.errors import CallerError, KernelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from google.protobuf.message import Message

    from kernel_service.api.channel_admission import ChannelAdmission
    from kernel_service.api.tokens import RefusedTokens, Tokens

    Handler = Any  # grpc.RpcMethodHandler: its stubs do not support async behaviors
    Context = grpc.aio.ServicerContext[Any, Any]
    Answer = Callable[[Context], Awaitable[Any]]

log = logging.getLogger(__name__)

ERROR_DOMAIN = "kernel.v1"
BODY_SECONDS: Final = 10.0
"""How long a unary request may take to arrive."""
WRITE_SECONDS: Final = 30.0
"""How long a caller may leave a message of a stream unread."""

caller: ContextVar[str] = ContextVar("caller")
"""The channel of the call's token; for an operator `tokens.ADMIN`."""

NOBODY: Final = ""
"""The caller of RPCs without a token: health and reflection."""
_CONVERSATION: Final = "ServeChannel"
"""An rpc whose caller may be silent for any time once it has sent the first message."""
_OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")


class AuthInterceptor(grpc.aio.ServerInterceptor):
    """Authenticates each call, sets `caller`, limits each channel's calls, and maps errors to rich statuses.

    `idle_seconds`: how long a stream of requests may be idle.
    """

    def __init__(
        self, tokens: Tokens, admission: ChannelAdmission, refused: RefusedTokens, *, idle_seconds: float
    ) -> None:
        self._tokens = tokens
        self._refused = refused
        self._guard = Guard(admission, idle_seconds)
        self._guarded: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(details)
        if handler is None:  # UNIMPLEMENTED, without reading the request
            return handler
        method = details.method
        try:
            caller.set(NOBODY if method.startswith(_OPEN_SERVICES) else self._tokens.admit(method, _metadata(details)))
        except KernelError as error:
            return self._refusing(error, method)
        if method not in self._guarded:
            self._guarded[method] = self._guard.around(handler, method)
        return self._guarded[method]

    def _refusing(self, error: KernelError, method: str) -> Handler:
        """A handler that reads nothing. gRPC treats any call as a possible stream."""

        async def refuse(_: Any, context: Context) -> None:
            self._refused.note(error, method, context.peer())
            await _abort(_status(error, method), context)

        return grpc.stream_stream_rpc_method_handler(refuse)


def _metadata(details: grpc.HandlerCallDetails) -> Iterable[tuple[str, str | bytes]]:
    return details.invocation_metadata or ()


class Guard:
    """Wraps each handler. A unary request is received as a stream of one, so that its time is limited.

    Requests are read from the context. gRPC's iterator over them costs another generator, and keeps the last request
    in a reference cycle.
    """

    def __init__(self, admission: ChannelAdmission, idle_seconds: float) -> None:
        self._admission = admission
        self._body, self._idle = _arrival(BODY_SECONDS), _arrival(idle_seconds)
        self._writing = TimeLimit(WRITE_SECONDS, "the caller does not read the response")

    def around(self, handler: Handler, method: str) -> Handler:
        rpc = method.rpartition("/")[2]
        answer = self._stream(handler, rpc) if handler.request_streaming else self._one(handler)
        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )

        is_stream = handler.request_streaming or handler.response_streaming
        taken = self._admission.taken if is_stream else self._admission.call

        async def call(_: object, context: Context) -> Any:
            if caller.get() == NOBODY:
                caller.set(stranger(context.peer()))
            try:
                with taken(caller.get(), rpc):
                    return await answer(context)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - any error ends as a status
                status = _status(error, method)
            # The frames of an abort are in a cycle, too. They must not hold the error, whose frames refer to the
            # request.
            return await _abort(status, context)

        read = handler.request_deserializer if handler.request_streaming else sized(handler.request_deserializer)
        return make(call, read, handler.response_serializer)

    def _one(self, handler: Handler) -> Answer:
        """Handles a unary request."""

        async def answer(context: Context) -> Any:
            size, request = await self._received(context)
            with self._admission.holding(caller.get(), size):
                if handler.response_streaming:
                    await self._write(handler.unary_stream(request, context), context)
                    return None
                return await handler.unary_unary(request, context)

        return answer

    def _stream(self, handler: Handler, rpc: str) -> Answer:
        """Handles a stream of requests, which the handler takes one after the other."""
        first, later = (self._body, None) if rpc == _CONVERSATION else (self._idle, self._idle)

        async def answer(context: Context) -> Any:
            requests = InTime(context.read, first, later=later, end=grpc.aio.EOF)
            if handler.response_streaming:
                await self._write(handler.stream_stream(requests, context), context)
                return None
            return await handler.stream_unary(requests, context)

        return answer

    async def _received(self, context: Context) -> Sized:
        """The request of a unary call, within its bounds. Raises `Stalled`, `CallerError`."""
        async with self._admission.reading(caller.get()):
            with self._body.wait():
                found = await context.read()
        if not isinstance(found, Sized):  # the end of the stream
            raise CallerError("FIELD_REQUIRED", "the call holds no request", field="request")
        if not is_stranger(caller.get()):
            bounds.check(found.request)
        return found

    async def _write(self, responses: AsyncIterator[Any] | Awaitable[None], context: Context) -> None:
        """Takes each response from the handler once the previous one is sent. Raises `Stalled`.

        A handler may also write its responses itself.
        """
        if not isinstance(responses, AsyncGenerator):
            await responses  # type: ignore[misc]
            return
        async with aclosing(responses):
            await self._writing.each(responses, context.write)


def _arrival(seconds: float) -> TimeLimit:
    return TimeLimit(seconds, f"nothing was received for {seconds:g} seconds")


class Sized(NamedTuple):
    """A request, and its size in bytes."""

    size: int
    request: Any


def sized(deserializer: Callable[[bytes], Any]) -> Callable[[bytes], Sized]:
    return lambda raw: Sized(len(raw), deserializer(raw))


async def _abort(status: status_pb2.Status, context: Context) -> None:
    await context.abort_with_status(rpc_status.to_status(status))


def _status(error: Exception, method: str) -> status_pb2.Status:
    return rich_status(error_for_caller(error, method))


def error_for_caller(error: Exception, method: str) -> KernelError:
    """The error for the caller. An error that is not a domain error is logged."""
    if isinstance(error, KernelError):
        return error
    error_id = secrets.token_hex(6)
    log.error("rpc failed method=%s error_id=%s", method, error_id, exc_info=error)
    return KernelError("INTERNAL", "a fault of this service; its log contains the error_id", error_id=error_id)


def rich_status(error: KernelError) -> status_pb2.Status:
    """The only mapping of domain errors to gRPC statuses, with the details of google.rpc."""
    code = grpc.StatusCode[error.status].value[0]
    return status_pb2.Status(code=code, message=error.sentence, details=[_packed(each) for each in _details(error)])


def _details(error: KernelError) -> Iterator[Message]:
    yield error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata)
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.sentence)
        yield error_details_pb2.BadRequest(field_violations=[violation])
    if error.retry_after is not None:
        delay = error_details_pb2.RetryInfo()
        delay.retry_delay.FromNanoseconds(round(error.retry_after * 1e9))
        yield delay


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
