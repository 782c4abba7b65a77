from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from kernel.v1 import admin_pb2, admin_pb2_grpc

from kernelctl.checks.results import Status
from serving.own_certificate import ensure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.kernelctl.vendors import Vendors

TOKENS = {"KERNEL_TOKEN": "f3b09d77c1e24a58", "KERNEL_ADMIN_TOKEN": "9a6e01dc85b7f234"}


class Nodes(admin_pb2_grpc.KernelAdminServiceServicer):
    def __init__(self, *schemas: int) -> None:
        self._schemas = schemas

    async def ListNodes(self, request: Any, context: Any) -> admin_pb2.ListNodesResponse:  # noqa: N802 - gRPC's name
        return admin_pb2.ListNodesResponse(nodes=[admin_pb2.Node(id=f"n{each}", schema=each) for each in self._schemas])


def pair(folder: Path, name: str) -> tuple[Path, Path]:
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    ensure(key, certificate, ["localhost"])
    return key, certificate


@asynccontextmanager
async def server(files: tuple[Path, Path] | None = None, *schemas: int) -> AsyncIterator[str]:
    """A gRPC server without the kernel's service; its address."""
    running = grpc.aio.server()
    admin_pb2_grpc.add_KernelAdminServiceServicer_to_server(Nodes(*schemas), running)  # type: ignore[abstract]
    if files is None:
        port = running.add_insecure_port("127.0.0.1:0")
    else:
        key, certificate = (file.read_bytes() for file in files)
        port = running.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    await running.start()
    try:
        yield f"dns:///localhost:{port}"
    finally:
        await running.stop(0)


@pytest.mark.parametrize(
    ("speaks_tls", "authority", "text"),
    [
        (True, "", "speaks TLS, and KERNEL_TLS_CA is not set"),
        (False, "own", "does not speak TLS"),
        (True, "other", "certificate is not of the authority in KERNEL_TLS_CA"),
        (True, "own", "another service answers at KERNEL_ADDRESS"),
    ],
)
async def test_tls_that_does_not_fit_is_explained(real: Vendors, speaks_tls: bool, authority: str, text: str) -> None:
    own = pair(real.folder, "own")
    async with server(own if speaks_tls else None) as address:
        real.values |= {"KERNEL_ADDRESS": address, **TOKENS}
        if authority:
            real.values["KERNEL_TLS_CA"] = str(pair(real.folder, authority)[1])
        found = await real.finding("kernel.token")
    assert text in found.text


async def test_a_server_that_speaks_no_grpc_is_found(real: Vendors) -> None:
    listening = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        real.values |= {"KERNEL_ADDRESS": f"127.0.0.1:{port}", **TOKENS}
        assert "another program than the kernel service" in (await real.finding("kernel.token")).text


async def test_nodes_of_different_versions_are_found(real: Vendors) -> None:
    async with server(None, 31, 32) as address:
        real.values |= {"KERNEL_ADDRESS": address, **TOKENS}
        found = await real.finding("kernel.admin")
    assert (found.status, "schemas 31, 32" in found.text) == (Status.WARNING, True)


@pytest.mark.parametrize("address", ["dns:///localhost:9", "unix:/nowhere/kernel", "ipv4:127.0.0.1:9"])
async def test_an_address_where_nothing_listens_is_found(real: Vendors, address: str) -> None:
    real.values |= {"KERNEL_ADDRESS": address, **TOKENS}
    assert "is not reached" in (await real.finding("kernel.token")).text
    assert [result.status for result in await real.check("kernel.admin")] == [Status.SKIPPED]


async def test_no_token_is_sent_to_another_machine_in_plain_text(real: Vendors) -> None:
    real.values |= {"KERNEL_ADDRESS": "dns:///kernel.example:50051", **TOKENS}
    assert "without TLS" in (await real.finding("kernel")).text
