"""A service's own certificate, as gRPC takes it."""

import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.own_certificate import ensure

NAMES = ["kernel_service", "localhost", "127.0.0.1"]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    pair = tmp_path / "service.key", tmp_path / "service.pem"
    ensure(*pair, NAMES)
    return pair


async def reached(pair: tuple[Path, Path], authority: bytes, name: str) -> bool:
    """Whether a client that trusts this authority reaches the service under the name."""
    key, certificate = (file.read_bytes() for file in pair)
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    await server.start()
    credentials = grpc.ssl_channel_credentials(authority)
    options = [("grpc.ssl_target_name_override", name)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
        call: Any = channel.unary_unary("/no/such")
        try:
            await call(b"", timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.UNIMPLEMENTED
        finally:
            await server.stop(None)
    return False


@pytest.mark.parametrize("name", NAMES)
async def test_a_client_with_the_certificate_reaches_each_name(pair: tuple[Path, Path], name: str) -> None:
    assert await reached(pair, pair[1].read_bytes(), name)


async def test_another_name_and_another_certificate_are_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert not await reached(pair, pair[1].read_bytes(), "example.com")
    other = tmp_path / "other.key", tmp_path / "other.pem"
    ensure(*other, NAMES)
    assert not await reached(pair, other[1].read_bytes(), "localhost")


def test_the_key_is_private_and_an_existing_pair_is_kept(pair: tuple[Path, Path]) -> None:
    assert [file.stat().st_mode & 0o777 for file in pair] == [0o600, 0o644]
    before = [file.read_bytes() for file in pair]
    pair[0].chmod(0o644)
    ensure(*pair, NAMES)
    assert pair[0].stat().st_mode & 0o777 == 0o600, "opened rights are removed again"
    assert [file.read_bytes() for file in pair] == before
    assert sorted(pair[0].parent.iterdir()) == sorted(pair)


@pytest.mark.parametrize("lost", [0, 1])
def test_half_a_pair_is_replaced_by_a_matching_pair(pair: tuple[Path, Path], lost: int) -> None:
    pair[lost].unlink()
    (pair[0].parent / f"{pair[lost].name}.new").write_text("what a killed process left")
    ensure(*pair, NAMES)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pair[1], pair[0])


@pytest.mark.parametrize("arguments", [[], ["key"], ["key", "certificate"], ["/proc/none/key", "/proc/none/pem", "a"]])
def test_a_failure_is_reported_on_stderr(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "serving.own_certificate", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_services_that_start_at_once_share_one_pair(tmp_path: Path) -> None:
    for round_ in range(5):
        pair = tmp_path / f"{round_}.key", tmp_path / f"{round_}.pem"
        with ThreadPoolExecutor(8) as services:
            list(services.map(lambda _: ensure(*pair, NAMES), range(8)))  # noqa: B023 - the round waits for them
        ssl.create_default_context().load_cert_chain(pair[1], pair[0])  # SSLError: they do not belong together
