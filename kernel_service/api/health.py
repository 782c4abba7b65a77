"""A health service that lets a drain end: an open Watch would otherwise delay `stop(grace)` for the whole grace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from kernel.v1 import admin_pb2, kernel_pb2

if TYPE_CHECKING:
    import grpc

SERVICES = (
    *kernel_pb2.DESCRIPTOR.services_by_name.values(),
    *admin_pb2.DESCRIPTOR.services_by_name.values(),
)
SERVING_NAMES = ("", *(service.full_name for service in SERVICES))


class Health(health.aio.HealthServicer):  # type: ignore[misc]  # grpc_health is untyped
    """Watches end once `drained` is set."""

    NAME = health.SERVICE_NAME

    def __init__(self) -> None:
        super().__init__()
        self.drained = asyncio.Event()

    def add_to(self, server: grpc.aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self, server)

    async def serving(self, *, serves: bool = True) -> None:
        """Report this status. After a graceful shutdown has begun, NOT_SERVING stays."""
        state = health_pb2.HealthCheckResponse
        for name in SERVING_NAMES:
            await self.set(name, state.SERVING if serves else state.NOT_SERVING)

    def report(self, *, serves: bool) -> None:
        """As `serving`, in the background."""
        self._reporting = asyncio.create_task(self.serving(serves=serves))

    async def Watch(self, request: Any, context: Any) -> None:
        watch = asyncio.ensure_future(super().Watch(request, context))
        drained = asyncio.ensure_future(self.drained.wait())
        try:
            await asyncio.wait({watch, drained}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
            drained.cancel()
