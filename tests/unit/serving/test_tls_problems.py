"""The reason why TLS does not work, found by a handshake with real servers."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

from serving import tls_problems
from serving.tls_problems import (
    EXPIRED,
    NOT_SPOKEN,
    NOT_YET_VALID,
    OTHER_NAME,
    REQUIRED,
    UNKNOWN_AUTHORITY,
    TlsProblem,
    tls_problem,
)
from tests.unit.kernelctl.certificates import Authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def listening(context: ssl.SSLContext | None = None, *, closes: bool = False) -> AsyncIterator[str]:
    """A server that says nothing; the target."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not closes:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield f"dns:///localhost:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.mark.parametrize(
    ("name", "days", "begins", "is_self_signed", "problem"),
    [
        ("localhost", 90, -1, False, None),
        ("localhost", -1, -400, False, EXPIRED),
        ("localhost", 90, 1, False, NOT_YET_VALID),
        ("kernel.example", 90, -1, False, OTHER_NAME),
        ("localhost", 90, -1, True, UNKNOWN_AUTHORITY),
    ],
)
async def test_a_certificate(
    authority: Authority, *, name: str, days: float, begins: float, is_self_signed: bool, problem: TlsProblem | None
) -> None:
    context = authority.context(name, days, begins, is_self_signed=is_self_signed)
    async with listening(context) as target:
        assert await tls_problem(target, authority.file) == problem
        assert await tls_problem(target, None) == REQUIRED


async def test_an_authority_of_the_same_name_with_another_key(authority: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    async with listening(authority.context()) as target:
        assert await tls_problem(target, Authority(folder).file) == UNKNOWN_AUTHORITY


async def test_an_address_without_its_name(authority: Authority) -> None:
    async with listening(authority.context()) as target:
        assert await tls_problem(target.replace("localhost", "127.0.0.1"), authority.file) == OTHER_NAME


async def test_a_service_without_tls(authority: Authority) -> None:
    server = grpc.aio.server()
    target = f"localhost:{server.add_insecure_port('localhost:0')}"
    await server.start()
    assert await tls_problem(target, authority.file) == NOT_SPOKEN
    assert await tls_problem(target, None) is None
    await server.stop(None)


@pytest.mark.parametrize("closes", [True, False], ids=["closes", "silent"])
async def test_no_problem_of_tls(authority: Authority, monkeypatch: pytest.MonkeyPatch, *, closes: bool) -> None:
    monkeypatch.setattr(tls_problems, "SECONDS", 0.1)
    began = time.monotonic()
    async with listening(closes=closes) as target:
        for trusted in (authority.file, None):
            assert await tls_problem(target, trusted) is None
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "target", ["unix:/nowhere/kernel", "dns:///kernel", "localhost:9", "dns:///no-host.invalid:443"]
)
async def test_nothing_to_shake_hands_with(authority: Authority, target: str) -> None:
    assert await tls_problem(target, authority.file) is None


async def test_the_file_of_the_authority_is_gone(tmp_path: Path) -> None:
    assert await tls_problem("localhost:9", tmp_path / "gone.pem") is None
