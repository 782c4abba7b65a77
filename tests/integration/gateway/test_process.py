"""The gateway as a real process: ended by SIGTERM, with TLS if configured."""

import asyncio
import datetime as dt
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import grpc
import pytest
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from emulators.app import Emulators
from kernel_client import routes
from kernel_client.address import KernelAddress
from kernel_client.errors import KernelError
from kernel_client.nodes import Node
from kernel_client.routes import route_to
from tests.integration.gateway.conftest import settings
from tests.integration.gateway.fake_kernel import TOKEN, FakeKernel, Running
from tests.integration.gateway.payloads import NUMBER, SECRET
from whatsapp_gateway.app import build_app

Environment = Callable[[str], dict[str, str]]


@pytest.fixture
def environment(emulators: Emulators) -> Environment:
    def build(kernel_address: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "GATEWAY_LISTEN": "127.0.0.1:0",
            "KERNEL_ADDRESS": kernel_address,
            "KERNEL_TOKEN": TOKEN,
            "WHATSAPP_ACCESS_TOKEN": "emulated-access-token",
            "WHATSAPP_APP_SECRET": SECRET,
            "WHATSAPP_VERIFY_TOKEN": "v",
            "WHATSAPP_PHONE_NUMBER_ID": NUMBER,
            "WHATSAPP_API_BASE_URL": f"{emulators.url}/graph",
        }

    return build


async def test_sigterm_finishes_and_settles_replies_in_progress(
    environment: Environment, running_kernel: Running, kernel: FakeKernel, emulators: Emulators
) -> None:
    alice = emulators.whatsapp.add_phone("Alice")
    alice.compose("text", {"body": "hi"}, "hi")
    hold = emulators.whatsapp.graph.before.hold()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "whatsapp_gateway",
        env=environment(running_kernel.address),
        stderr=asyncio.subprocess.PIPE,
    )
    kernel.lease("private words", user_id=f"whatsapp:{alice.user_id}")
    await hold.reached.wait()
    process.terminate()
    hold.release()
    _, log = await process.communicate()
    assert process.returncode == 0
    assert {ack.part.reply_id for ack in kernel.acks} == {"rp_1"}
    assert (await alice.wait_for_message()).text == "private words"
    assert b"serving" in log
    for private in ("private words", TOKEN, SECRET, alice.user_id):
        assert private.encode() not in log


@pytest.fixture
async def tls_kernel(tmp_path: Path) -> AsyncIterator[tuple[Running, Path]]:
    key, certificate = _self_signed()
    authority = tmp_path / "ca.pem"
    authority.write_bytes(certificate)
    fake = FakeKernel()  # type: ignore[abstract]
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    running = Running(fake, "localhost:0", credentials)
    await running.start()
    yield running, authority
    await running.stop()


async def test_the_kernel_service_is_reached_over_tls(tls_kernel: tuple[Running, Path], emulators: Emulators) -> None:
    running, authority = tls_kernel
    plain = settings(running.address, f"{emulators.url}/graph")
    app = await build_app(plain.model_copy(update={"kernel_tls_ca": authority}))
    async with TestServer(app):
        await running.fake.until(lambda: running.fake.pulls)


async def test_a_problem_of_tls_is_logged_and_shown_to_probes(
    tls_kernel: tuple[Running, Path],
    emulators: Emulators,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(routes, "CONNECT_SECONDS", 0.2)
    running, _ = tls_kernel
    other = tmp_path / "other.pem"
    other.write_bytes(_self_signed()[1])
    plain = settings(running.address, f"{emulators.url}/graph")
    for authority, reason in ((other, "TLS_AUTHORITY_UNKNOWN"), (None, "TLS_REQUIRED")):
        caplog.clear()
        app = await build_app(plain.model_copy(update={"kernel_tls_ca": authority}))
        async with TestServer(app) as server, aiohttp.ClientSession() as session:
            async with session.get(server.make_url("/readyz")) as response:
                told = await response.text()
            async with asyncio.timeout(20):
                while "no replies come through" not in caplog.text:
                    await asyncio.sleep(0)
        assert response.status == 503
        for text in (told, caplog.text):
            assert reason in text
            assert "Set KERNEL_TLS_CA to the kernel service's certificate" in text


async def test_a_node_at_an_ip_address_proves_the_name_of_the_service(tls_kernel: tuple[Running, Path]) -> None:
    running, authority = tls_kernel
    node = f"127.0.0.1:{running.address.rpartition(':')[2]}"
    route = route_to(KernelAddress(running.address, authority), Node("n", node))
    await route.connect()
    await route.close()


@pytest.mark.parametrize("wrong", ["authority", "name"])
async def test_a_node_that_does_not_prove_it_is_not_reached(
    tls_kernel: tuple[Running, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setattr(routes, "CONNECT_SECONDS", 0.5)
    running, authority = tls_kernel
    target, node = running.address, f"127.0.0.1:{running.address.rpartition(':')[2]}"
    if wrong == "authority":
        authority = tmp_path / "other.pem"
        authority.write_bytes(_self_signed()[1])
    else:
        target = "dns:///other.localhost:50051"
    route = route_to(KernelAddress(target, authority), Node("n", node))
    with pytest.raises(KernelError, match="UNREACHABLE"):
        await route.connect()
    await route.close()


def _self_signed() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, certificate.public_bytes(pem)
