"""Calls of the admin service at other nodes, with the admin token."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kernel.v1 import admin_pb2_grpc

from kernel_service.errors import KernelError, NodeUnavailable

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from kernel_service.ports.cluster import Cluster

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 2.0
"""How long a node may take to answer for what it has in memory."""
_FORWARDED: Final = "x-kernel-forwarded-to"
"""The metadata key of a call that another node forwards; the value is the id of the node that is to answer."""
_OPTIONS: Final = (("grpc.enable_http_proxy", 0),)  # http_proxy is meant for the vendors


@dataclass(frozen=True, slots=True)
class PeerTls:
    """`authority` in PEM. The certificates of all nodes are valid for `name`; empty: for their addresses."""

    authority: bytes
    name: str

    @classmethod
    def of(cls, certificate: bytes, authority: bytes | None) -> PeerTls:
        """From this node's own certificate chain, in PEM. Without an authority the chain itself is one."""
        return cls(authority or certificate, _first_name(certificate))


def _first_name(certificate: bytes) -> str:
    from cryptography import x509  # noqa: PLC0415 - 3 MB, and only services with a certificate need it

    own = x509.load_pem_x509_certificate(certificate)
    try:
        names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    return next((name for name in names.get_values_for_type(x509.DNSName) if "*" not in name), "")


def is_forwarded(context: grpc.aio.ServicerContext[Any, Any], me: str) -> bool:
    """Whether another node forwards this call. `NodeUnavailable`: to a node that wrongly advertises this address."""
    meant = next((value for key, value in context.invocation_metadata() or () if key == _FORWARDED), None)
    if meant not in {None, me}:
        raise NodeUnavailable(str(meant))
    return meant is not None


class Peers:
    """The other nodes. Operators' calls are rare, so each one opens a connection."""

    def __init__(self, cluster: Cluster, token: str, tls: PeerTls | None) -> None:
        """`token` is the admin token."""
        self._cluster = cluster
        self._token = token
        self._tls = tls

    async def call(self, node_id: str, rpc: str, request: Message, *, seconds: float = ANSWER_SECONDS) -> Any:
        """The answer of another node. Its errors are raised as they are; `NodeUnavailable` if it does not answer."""
        address = next((node.address for node in self._cluster.nodes if node.id == node_id), "")
        if not address:
            raise NodeUnavailable(node_id)
        metadata = (("authorization", f"Bearer {self._token}"), (_FORWARDED, node_id))
        async with self._channel(address) as channel:
            stub: Any = admin_pb2_grpc.KernelAdminServiceStub(channel)
            try:
                return await getattr(stub, rpc)(request, metadata=metadata, timeout=seconds)
            except grpc.aio.AioRpcError as error:
                raise _relayed(error, node_id) from None

    async def call_others(self, rpc: str, request: Message) -> dict[str, Any]:
        """The answer of each other live node by its id; None: it has none."""
        others = [node.id for node in self._cluster.nodes if node.id != self._cluster.me]
        answers = await asyncio.gather(*(self._answer_or_none(node_id, rpc, request) for node_id in others))
        return dict(zip(others, answers, strict=True))

    async def _answer_or_none(self, node_id: str, rpc: str, request: Message) -> Any:
        try:
            return await self.call(node_id, rpc, request)
        except KernelError as error:
            log.warning("node does not list its kernels node=%s reason=%s", node_id, error.reason)
            return None

    def _channel(self, address: str) -> grpc.aio.Channel:
        if self._tls is None:
            return grpc.aio.insecure_channel(address, options=_OPTIONS)
        named = (("grpc.ssl_target_name_override", self._tls.name),) if self._tls.name else ()
        credentials = grpc.ssl_channel_credentials(self._tls.authority)
        return grpc.aio.secure_channel(address, credentials, options=(*_OPTIONS, *named))


def _relayed(error: grpc.aio.AioRpcError, node_id: str) -> KernelError:
    """The other node's own error. An error without a reason is the connection's; a refused token is this node's.

    NODE_UNAVAILABLE comes from a third node, which has the address now.
    """
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)
    has_reason = status is not None and any(detail.Unpack(info) for detail in status.details)
    is_own = has_reason and info.reason != "NODE_UNAVAILABLE"
    if status is None or not is_own or error.code() is grpc.StatusCode.UNAUTHENTICATED:
        log.warning("node does not answer node=%s code=%s", node_id, error.code().name)
        return NodeUnavailable(node_id)
    relayed = KernelError(info.reason, status.message, **dict(info.metadata))
    relayed.status = error.code().name
    return relayed
