"""The gRPC server: both services, health, reflection; and its graceful shutdown."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import grpc
from grpc_reflection.v1alpha import reflection
from kernel.v1 import (
    admin_pb2_grpc,
    errors_pb2,  # noqa: F401 - no rpc names it, and reflection lists the loaded files
    kernel_pb2_grpc,
)

from kernel_service.api.health import SERVING_NAMES, Health
from kernel_service.api.interceptors import AuthInterceptor
from serving.listening import CannotListenError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from kernel_service.api.admin_servicer import AdminServicer
    from kernel_service.api.channel_admission import ChannelAdmission
    from kernel_service.api.kernel_servicer import KernelServicer
    from kernel_service.api.tokens import RefusedTokens, Tokens
    from serving.listening import Address

_OPTIONS = [
    ("grpc.so_reuseport", 0),  # a second process on the port must fail, and not share the port
    ("grpc.max_connection_age_ms", 300_000),  # limits how long clients do not see a new replica
    ("grpc.max_connection_age_grace_ms", 60_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # A channel that is frozen or disconnected is dropped within five seconds. Its stream would otherwise take more
    # leases.
    ("grpc.keepalive_time_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.ping_timeout_ms", 2_000),
    # Silent clients are disconnected: a connection without a handshake, and one without a call.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 300_000),
    # Per connection. gRPC randomly drops pending calls of any client once there are a thousand. A flood of calls that
    # are cancelled at once ("rapid reset") must not fill that queue.
    ("grpc.max_concurrent_streams", 200),
    # Data received before a call's admission is limited to one window of 64 KiB. The probe would let it grow to
    # megabytes.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
]
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Listener:
    """`tls` is (private key, certificate chain), PEM, or None. `idle_seconds`: how long an upload may be idle."""

    listen: Address
    tokens: Tokens
    kernel: KernelServicer
    admin: AdminServicer
    admission: ChannelAdmission
    refused: RefusedTokens
    idle_seconds: float
    tls: tuple[bytes, bytes] | None = None
    health: Health = field(default_factory=Health)

    @asynccontextmanager
    async def serving(self, drain: Callable[[], Awaitable[None]]) -> AsyncIterator[int]:
        """Serves on the yielded port. At the end: NOT_SERVING, then `drain`, then the open calls are cancelled.

        Raises `CannotListenError`.
        """
        health = self.health
        interceptor = AuthInterceptor(self.tokens, self.admission, self.refused, idle_seconds=self.idle_seconds)
        server = grpc.aio.server(interceptors=[interceptor], options=_OPTIONS)
        served = cast("grpc.aio.Server", _ByName(server))
        kernel_pb2_grpc.add_KernelServiceServicer_to_server(self.kernel, served)
        admin_pb2_grpc.add_KernelAdminServiceServicer_to_server(self.admin, served)
        health.add_to(served)
        reflection.enable_server_reflection([*SERVING_NAMES[1:], Health.NAME, reflection.SERVICE_NAME], server)
        port = self._bind(server)
        await server.start()
        await health.serving()
        try:
            yield port
        finally:
            await health.enter_graceful_shutdown()
            await drain()
            health.drained.set()
            await server.stop(STOP_SECONDS)

    def _bind(self, server: grpc.aio.Server) -> int:
        try:
            if self.tls is None:
                return server.add_insecure_port(str(self.listen))
            return server.add_secure_port(str(self.listen), grpc.ssl_server_credentials([self.tls]))
        except RuntimeError as error:
            problem = "the port is in use, or the host is not an address of this machine"
            raise CannotListenError("KERNEL_LISTEN", self.listen, problem) from error


class _ByName:
    """A server whose methods are found by name alone.

    gRPC's asyncio server has one task waiting for each registered method, and waits for all of them again at each call.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        """Register nothing: the generated code has added the same handlers by name."""
