"""Who calls, and what he is told when it fails: every rpc passes here, and no exception's text leaves."""

from __future__ import annotations

import hmac
import logging
import secrets
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from kernel_service.errors import KernelError, NotAllowed, Unauthenticated
from kernel_service.rpc import bounds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from google.protobuf.message import Message

    Handler = Any  # grpc.RpcMethodHandler: its stubs know nothing of async behaviors

log = logging.getLogger(__name__)

ERROR_DOMAIN = "kernel.v1"
ADMIN = "*"
"""What `caller` holds for the admin token; a channel's name otherwise."""

caller: ContextVar[str] = ContextVar("caller")

_OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")
_ADMIN_SERVICE = "/kernel.v1.KernelAdminService/"


class Tokens:
    """Bearer tokens: several per channel (rotation), one admin token (empty: nobody is admin)."""

    def __init__(self, channels: Mapping[str, str], admin: str) -> None:
        """`channels` maps each token to its channel."""
        self._holders = [(token.encode(), channel) for token, channel in channels.items()]
        if admin:
            self._holders.append((admin.encode(), ADMIN))

    def holder(self, authorization: str | bytes | None) -> str:
        """Whose token it is. Every token is compared, each in constant time."""
        if not authorization:
            raise Unauthenticated("TOKEN_MISSING", "send `authorization: Bearer <token>` with the call")
        given = authorization.encode() if isinstance(authorization, str) else authorization
        scheme, _, token = given.partition(b" ")
        matches = [name for known, name in self._holders if hmac.compare_digest(known, token.strip())]
        if scheme.lower() != b"bearer" or not matches:
            raise Unauthenticated(
                "TOKEN_INVALID",
                "this token is not known here; check KERNEL_CHANNEL_TOKENS, or an operator's KERNEL_ADMIN_TOKEN",
            )
        return matches[0]


class Gate(grpc.aio.ServerInterceptor):
    """Authenticates each call, sets `caller`, and maps errors to rich statuses."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._guarded: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(details)
        if handler is None or details.method.startswith(_OPEN_SERVICES):
            return handler
        if details.method not in self._guarded:
            self._guarded[details.method] = _guarded(handler, details.method, self._admit)
        return self._guarded[details.method]

    def _admit(self, method: str, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        given = (value for key, value in context.invocation_metadata() or () if key == "authorization")
        holder = self._tokens.holder(next(given, None))
        if method.startswith(_ADMIN_SERVICE) and holder != ADMIN:
            raise NotAllowed("ADMIN_REQUIRED", "this call needs the admin token")
        if not method.startswith(_ADMIN_SERVICE) and holder == ADMIN:
            raise NotAllowed("CHANNEL_MISMATCH", "this call needs a channel's token")
        caller.set(holder)


def _guarded(handler: Handler, method: str, admit: Callable[..., None]) -> Handler:
    if handler.response_streaming:
        return _guarded_stream(handler, method, admit)
    behavior = handler.stream_unary if handler.request_streaming else handler.unary_unary
    make = grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler

    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            admit(method, context)
            if not handler.request_streaming:
                bounds.check(request)
            return await behavior(request, context)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends as a status
            await _abort(error, method, context)

    return make(call, handler.request_deserializer, handler.response_serializer)


def _guarded_stream(handler: Handler, method: str, admit: Callable[..., None]) -> Handler:
    behavior = handler.unary_stream

    async def stream(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            admit(method, context)
            bounds.check(request)
            async for response in behavior(request, context):
                yield response
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends as a status
            await _abort(error, method, context)

    return grpc.unary_stream_rpc_method_handler(stream, handler.request_deserializer, handler.response_serializer)


async def _abort(error: Exception, method: str, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if not isinstance(error, KernelError):
        error_id = secrets.token_hex(6)
        log.error("rpc broke method=%s error_id=%s", method, error_id, exc_info=error)
        error = KernelError("INTERNAL", "a fault of this service; its log has the error_id", error_id=error_id)
    await context.abort_with_status(rpc_status.to_status(rich_status(error)))


def rich_status(error: KernelError) -> status_pb2.Status:
    """The one table from a domain error to a gRPC status, with the details of google.rpc inside."""
    code = grpc.StatusCode[error.status].value[0]
    return status_pb2.Status(code=code, message=error.sentence, details=[_packed(each) for each in _details(error)])


def _details(error: KernelError) -> Iterator[Message]:
    yield error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata)
    if field := error.metadata.get("field"):
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=error.sentence)
        yield error_details_pb2.BadRequest(field_violations=[violation])
    if error.retry_after is not None:
        delay = error_details_pb2.RetryInfo()
        delay.retry_delay.FromNanoseconds(round(error.retry_after * 1e9))
        yield delay


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
