"""The kernel service: whether it is reached, by TLS if it must be, with these tokens, and whether its nodes agree."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from kernel.v1 import admin_pb2, admin_pb2_grpc, connections_pb2, kernel_pb2_grpc

from kernelctl.checks.results import Result, Skipped, error, note, ok, warning
from serving.grpc_target import host_and_port
from serving.loopback import keeps_to_loopback
from serving.tls_problems import REQUIRED, UNKNOWN_AUTHORITY, TlsProblem, tls_problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

SECONDS: Final = 5.0
_NOBODY: Final = "whatsapp:doctor"
"""No channel gives such an id to a person, so the call finds none and changes nothing."""
_OPTIONS: Final = (("grpc.enable_http_proxy", 0),)
_SILENCE: Final = "The gateway cannot pass on a message, so no person is answered."
_NO_OPERATOR: Final = "kernelctl shows nothing, and an operator cannot look into an incident."
_START: Final = "Start it (`make run` or `make up`), or correct KERNEL_ADDRESS."
_OF_COMPOSE: Final = (
    "That of `make up` is shown by `docker compose exec kernel_service cat /tls/public/kernel_service.pem`."
)
_BY_AUTHORITY: Final = (REQUIRED, UNKNOWN_AUTHORITY)


@dataclass(frozen=True, slots=True)
class Target:
    """`host` and `port` are the first of the address; "" and 0: a socket's, or none."""

    address: str
    host: str
    port: int
    authority: Path | None

    @classmethod
    def of(cls, setup: Setup) -> Target:
        address = setup.get("KERNEL_ADDRESS")
        if setup.is_local and "KERNEL_ADDRESS" not in setup.values and (listen := setup.values.get("KERNEL_LISTEN")):
            address = f"dns:///{listen.replace('0.0.0.0', '127.0.0.1')}"  # noqa: S104 - replaced, not bound
        named = setup.get("KERNEL_TLS_CA")
        return cls(address, *host_and_port(address), Path(named) if named else None)

    async def call(
        self, stub: Callable[[grpc.aio.Channel], Callable[..., Awaitable[Any]]], request: Any, token: str
    ) -> Any:
        """Raises grpc.RpcError, and Skipped if the authority's file cannot be read."""
        async with self._channel() as channel:
            metadata = (("authorization", f"Bearer {token}"),)
            return await stub(channel)(request, metadata=metadata, timeout=SECONDS)

    def _channel(self) -> grpc.aio.Channel:
        if self.authority is None:
            return grpc.aio.insecure_channel(self.address, options=_OPTIONS)
        try:
            credentials = grpc.ssl_channel_credentials(self.authority.read_bytes())
        except OSError:
            raise Skipped("the file of KERNEL_TLS_CA cannot be read") from None
        return grpc.aio.secure_channel(self.address, credentials, options=_OPTIONS)


async def channel_token(setup: Setup, _: Http) -> Sequence[Result]:
    """Whether the kernel service is reached, and knows the gateway's token."""
    target, token = Target.of(setup), setup.channel_token
    if target.authority is None and not keeps_to_loopback(target.address):
        why = "Messages and tokens can be read on their way, so the token is not sent."
        return [error("KERNEL_ADDRESS leads to another machine without TLS", why=why, fix=_fix(REQUIRED))]
    if not token:
        raise Skipped("KERNEL_TOKEN is missing")
    request = connections_pb2.ListConnectionsRequest(user_id=_NOBODY)
    try:
        await target.call(lambda channel: kernel_pb2_grpc.KernelServiceStub(channel).ListConnections, request, token)
    except grpc.aio.AioRpcError as refusal:
        return [await _refused(target, refusal)]
    return [ok("the kernel service is reached and knows KERNEL_TOKEN")]


async def _refused(target: Target, refusal: grpc.aio.AioRpcError) -> Result:
    code = refusal.code()
    if code is grpc.StatusCode.NOT_FOUND:
        return ok("the kernel service is reached and knows KERNEL_TOKEN")
    if code is grpc.StatusCode.UNAUTHENTICATED:
        fix = "Set the same token on both sides (KERNEL_TOKEN, and whatsapp=… in KERNEL_CHANNEL_TOKENS). Restart both."
        return error("the kernel service does not know KERNEL_TOKEN", why=_SILENCE, fix=fix)
    if code in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT}:
        fix = "Give the gateway the token that KERNEL_CHANNEL_TOKENS has for whatsapp."
        return error("KERNEL_TOKEN is the token of another channel than whatsapp", why=_SILENCE, fix=fix)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return error("another service answers at KERNEL_ADDRESS", why=_SILENCE, fix="Correct KERNEL_ADDRESS.")
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
        return await _unavailable(target)
    return error(f"the kernel service answers {code.name}", why=_SILENCE, fix="See the kernel service's log.")


async def _unavailable(target: Target) -> Result:
    """The reason, by a separate TCP and TLS connection."""
    if not (target.host and target.port):
        return error("the kernel service at KERNEL_ADDRESS is not reached", why=_SILENCE, fix=_START)
    try:
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(target.host, target.port)
        writer.close()
    except (OSError, TimeoutError):
        return error("the kernel service at KERNEL_ADDRESS is not reached", why=_SILENCE, fix=_START)
    if (problem := await tls_problem(target.address, target.authority)) is not None:
        return error(problem.text, why=_SILENCE, fix=_fix(problem))
    if target.authority is None:
        return error("another program than the kernel service listens at KERNEL_ADDRESS", why=_SILENCE, fix=_START)
    return error("the kernel service is reached, but does not answer in time", why=_SILENCE, fix="See its log.")


def _fix(problem: TlsProblem) -> str:
    return f"{problem.fix} {_OF_COMPOSE}" if problem in _BY_AUTHORITY else problem.fix


async def admin_token(setup: Setup, _: Http) -> Sequence[Result]:
    """Whether the admin token is known, and whether all nodes have the same schema."""
    target, token = Target.of(setup), setup.values.get("KERNEL_ADMIN_TOKEN", "")
    if target.authority is None and not keeps_to_loopback(target.address):
        raise Skipped("the admin token is not sent to another machine without TLS")
    if not token:
        return [note("KERNEL_ADMIN_TOKEN is not set, so kernelctl shows nothing of a running service")]
    try:
        listed = await target.call(
            lambda channel: admin_pb2_grpc.KernelAdminServiceStub(channel).ListNodes,
            admin_pb2.ListNodesRequest(),
            token,
        )
    except grpc.aio.AioRpcError as refusal:
        if refusal.code() is grpc.StatusCode.UNAUTHENTICATED:
            fix = "Set the same KERNEL_ADMIN_TOKEN for the kernel service and for kernelctl, and restart the service."
            return [error("the kernel service does not know KERNEL_ADMIN_TOKEN", why=_NO_OPERATOR, fix=fix)]
        raise Skipped("see the finding of the kernel service") from None
    schemas = sorted({node.schema for node in listed.nodes})
    if len(schemas) > 1:
        text = f"the kernel services are of different versions (schemas {', '.join(map(str, schemas))})"
        why = "This is normal during a deployment, and a sign of a forgotten node after it."
        return [warning(text, why=why, fix="`kernelctl nodes` names them: deploy the newest version on all.")]
    return [ok(f"the kernel service knows KERNEL_ADMIN_TOKEN; live nodes: {len(listed.nodes)}")]
