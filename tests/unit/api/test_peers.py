"""Calls between nodes, over real connections."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_status import rpc_status
from kernel.v1 import admin_pb2, admin_pb2_grpc

from kernel_service.api.interceptors import rich_status
from kernel_service.api.peers import Peers, PeerTls
from kernel_service.errors import Aborted, KernelError, NodeUnavailable, Unauthenticated
from kernel_service.ports.nodes import Node
from serving.own_certificate import ensure
from tests.node_view import View
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


TOKEN = "the-admins-token"
ASKED = admin_pb2.EvictKernelRequest(person=admin_pb2.PersonRef(person_id="p_1"))


class Answering(admin_pb2_grpc.KernelAdminServiceServicer):
    """Answers with its own name, fails, or does not answer."""

    def __init__(self, error: KernelError | None = None, *, hangs: bool = False) -> None:
        self._error = error
        self._hangs = hangs
        self.metadata: dict[str, Any] = {}

    async def EvictKernel(  # noqa: N802
        self, request: admin_pb2.EvictKernelRequest, context: Any
    ) -> admin_pb2.EvictKernelResponse:
        self.metadata = dict(context.invocation_metadata())
        if self._hangs:
            await asyncio.Event().wait()
        if self._error:
            await context.abort_with_status(rpc_status.to_status(rich_status(self._error)))
        return admin_pb2.EvictKernelResponse()


def answering(error: KernelError | None = None, *, hangs: bool = False) -> Answering:
    return Answering(error, hangs=hangs)  # type: ignore[abstract]  # only one method is called


@asynccontextmanager
async def served(node: Answering, credentials: grpc.ServerCredentials | None = None) -> AsyncIterator[str]:
    """The address at which the node is served."""
    server = grpc.aio.server()
    admin_pb2_grpc.add_KernelAdminServiceServicer_to_server(node, server)
    if credentials:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def cluster(*addresses: str) -> View:
    """This node, `n0`, and one at each address: `n1`, `n2`…"""
    return View.of(*(Node(f"n{number}", address, 27) for number, address in enumerate(["", *addresses])))


async def test_a_call_carries_the_token_and_the_node_that_is_meant() -> None:
    async with served(answering()) as first, served(node := answering()) as second:
        await Peers(cluster(first, second), TOKEN, None).call("n2", "EvictKernel", ASKED)
    assert node.metadata["x-kernel-forwarded-to"] == "n2"
    assert node.metadata["authorization"] == f"Bearer {TOKEN}"


async def test_an_error_of_the_other_node_is_raised_as_it_is() -> None:
    async with served(answering(Aborted("KERNEL_BUSY", "in a turn", person="p_1"))) as address:
        with pytest.raises(KernelError, match="in a turn") as raised:
            await Peers(cluster(address), TOKEN, None).call("n1", "EvictKernel", ASKED)
    error = raised.value
    assert (error.status, error.reason, error.metadata) == ("ABORTED", "KERNEL_BUSY", {"person": "p_1"})


async def test_a_node_with_another_token_is_unavailable() -> None:
    async with served(answering(Unauthenticated("TOKEN_INVALID", "this token is not known here"))) as address:
        with pytest.raises(NodeUnavailable, match="KERNEL_ADMIN_TOKEN"):
            await Peers(cluster(address), TOKEN, None).call("n1", "EvictKernel", ASKED)


async def test_a_node_that_has_ended_is_unavailable() -> None:
    peers = Peers(cluster(f"127.0.0.1:{free_port()}"), TOKEN, None)
    with pytest.raises(NodeUnavailable) as raised:
        await peers.call("n1", "EvictKernel", ASKED)
    assert raised.value.metadata == {"node_id": "n1"}


async def test_a_frozen_node_is_unavailable_after_a_while() -> None:
    async with served(answering(hangs=True)) as address:
        with pytest.raises(NodeUnavailable):
            await Peers(cluster(address), TOKEN, None).call("n1", "EvictKernel", ASKED, seconds=0.1)


@pytest.mark.parametrize("node_id", ["n7", "n0", ""])
async def test_a_node_without_an_address_is_unavailable(node_id: str) -> None:
    with pytest.raises(NodeUnavailable):
        await Peers(cluster(), TOKEN, None).call(node_id, "EvictKernel", ASKED)


async def test_a_node_without_the_rpc_is_unavailable() -> None:
    async with served(answering()) as address:
        with pytest.raises(NodeUnavailable):
            await Peers(cluster(address), TOKEN, None).call("n1", "GetKernel", admin_pb2.GetKernelRequest())


async def test_of_several_nodes_those_that_fail_are_named() -> None:
    async with served(answering()) as good, served(answering(Aborted("KERNEL_BUSY", "in a turn"))) as busy:
        peers = Peers(cluster(good, busy, f"127.0.0.1:{free_port()}"), TOKEN, None)
        answers = await peers.call_others("EvictKernel", ASKED)
    assert answers == {"n1": admin_pb2.EvictKernelResponse(), "n2": None, "n3": None}


async def test_one_node_asks_no_other() -> None:
    assert await Peers(cluster(), TOKEN, None).call_others("EvictKernel", ASKED) == {}


@pytest.mark.parametrize("names", [["kernel_service", "localhost"], ["127.0.0.1"], ["127.0.0.1", "kernel_service"]])
async def test_tls_with_the_nodes_own_certificate(tmp_path: Path, names: list[str]) -> None:
    tls, credentials = certificate(tmp_path, *names)
    async with served(node := answering(), credentials) as address:
        await Peers(cluster(address), TOKEN, tls).call("n1", "EvictKernel", ASKED)
    assert node.metadata["x-kernel-forwarded-to"] == "n1"


async def test_a_node_with_another_certificate_gets_no_token(tmp_path: Path) -> None:
    _, credentials = certificate(tmp_path / "stranger", "kernel_service")
    tls, _ = certificate(tmp_path / "own", "kernel_service")
    async with served(node := answering(), credentials) as address:
        with pytest.raises(NodeUnavailable):
            await Peers(cluster(address), TOKEN, tls).call("n1", "EvictKernel", ASKED)
    assert not node.metadata


def certificate(folder: Path, *names: str) -> tuple[PeerTls, grpc.ServerCredentials]:
    folder.mkdir(exist_ok=True)
    key, chain = folder / "service.key", folder / "service.pem"
    ensure(key, chain, names)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), chain.read_bytes())])
    return PeerTls.of(chain.read_bytes(), None), credentials
