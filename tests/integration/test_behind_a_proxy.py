"""With an outgoing proxy, vendors are reached through it, and the two services reach each other directly."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import ssl
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from emulators.app import Emulators
from emulators.config import Config
from tests.http_proxy import HttpProxy, pipe
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

USERINFO = "clerk:proxy-password"
VENDORS = ("graph.vendor.test", "openai.vendor.test", "composio.vendor.test")
KNOWN_AS = Config(emulators_listen="127.0.0.1:0", emulators_hosts=",".join(VENDORS))
TOKEN = "whatsapp-token-of-the-tests"
NUMBER = "106540352242922"
SECONDS = 60


class Pair:
    """Both services as processes, in one environment."""

    def __init__(self, folder: Path, environment: dict[str, str], urls: dict[str, str]) -> None:
        self._folder = folder
        self.gateway, self.kernel, self.metrics, self.connect = (f"127.0.0.1:{free_port()}" for _ in range(4))
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "KERNEL_LISTEN": self.kernel,
            "KERNEL_METRICS_LISTEN": self.metrics,
            "CONNECT_LISTEN": self.connect,
            "KERNEL_DATABASE_URL": f"sqlite:///{folder}/kernel.db",
            "KERNEL_CHANNEL_TOKENS": f"whatsapp={TOKEN}",
            "KERNEL_ADMIN_TOKEN": "admin-token-of-the-tests",
            "KERNEL_ENCRYPTION_KEYS": "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "KERNEL_DEBOUNCE_SECONDS": "0",
            "KERNEL_ADDRESS": f"dns:///{self.kernel}",
            "KERNEL_TOKEN": TOKEN,
            "GATEWAY_LISTEN": self.gateway,
            "OPENAI_API_KEY": "sk-emulated",
            "COMPOSIO_API_KEY": "ak_emulated",
            "WHATSAPP_ACCESS_TOKEN": "emulated-access-token",
            "WHATSAPP_APP_SECRET": "emulated-app-secret",
            "WHATSAPP_VERIFY_TOKEN": "emulated-verify-token",
            "WHATSAPP_PHONE_NUMBER_ID": NUMBER,
            **urls,
            **environment,
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Pair]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._process("kernel_service", f"http://{self.metrics}/healthz"))
            await stack.enter_async_context(self._process("whatsapp_gateway", f"http://{self.gateway}/readyz"))
            yield self

    @asynccontextmanager
    async def _process(self, module: str, ready_url: str) -> AsyncIterator[None]:
        with (self._folder / f"{module}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, env=self.environment, stdout=log, stderr=log
            )
        try:
            async with aiohttp.ClientSession() as http, asyncio.timeout(SECONDS):
                while not await answers(http, ready_url):
                    assert process.returncode is None, self.log(module)
                    await asyncio.sleep(0.05)
            yield
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def log(self, module: str) -> str:
        return (self._folder / f"{module}.log").read_text()


async def answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as response:
            return response.ok
    except aiohttp.ClientError:
        return False


async def converse(emulators: Emulators, pair: Pair) -> None:
    """Write a message that needs the model and a tool, and wait for its answer."""
    emulators.whatsapp.webhooks.url = f"http://{pair.gateway}/webhook"
    alice = emulators.whatsapp.add_phone("Alice")
    await alice.send("connect my asana")
    offer = await alice.wait_for_message(timeout=SECONDS)
    assert offer.link is not None


def hosts_at(emulators: Emulators) -> dict[str, tuple[str, int]]:
    return dict.fromkeys(VENDORS, ("127.0.0.1", int(emulators.url.rpartition(":")[2])))


def urls(scheme: str) -> dict[str, str]:
    graph, openai, composio = (f"{scheme}://{host}" for host in VENDORS)
    return {
        "WHATSAPP_API_BASE_URL": f"{graph}/graph",
        "OPENAI_BASE_URL": f"{openai}/openai/v1",
        "COMPOSIO_BASE_URL": f"{composio}/composio",
    }


@pytest.mark.parametrize("names", [("http_proxy", "https_proxy"), ("HTTP_PROXY", "HTTPS_PROXY"), ("all_proxy",)])
async def test_https_vendors_are_reached_by_connect(tmp_path: Path, names: tuple[str, ...]) -> None:
    async with (
        Emulators.start(KNOWN_AS) as emulators,
        tls_in_front_of(emulators, tmp_path) as (port, authority),
        HttpProxy(dict.fromkeys(VENDORS, ("127.0.0.1", port)), USERINFO).serving() as proxy,
    ):
        environment = dict.fromkeys(names, proxy.url) | {"SSL_CERT_FILE": str(authority)}
        async with Pair(tmp_path, environment, urls("https")).running() as pair:
            await converse(emulators, pair)
        assert {how for how, _ in proxy.seen} == {"CONNECT"}
        assert {host for _, host in proxy.seen} == set(VENDORS)  # and nothing else: not the pair's own calls
        for module in ("kernel_service", "whatsapp_gateway"):
            assert "proxy-password" not in pair.log(module)
            assert f"127.0.0.1:{proxy.port}" in pair.log(module)


async def test_plain_http_vendors_are_reached_by_their_whole_address(tmp_path: Path) -> None:
    async with Emulators.start(KNOWN_AS) as emulators, HttpProxy(hosts_at(emulators)).serving() as proxy:
        async with Pair(tmp_path, {"http_proxy": proxy.url}, urls("http")).running() as pair:
            await converse(emulators, pair)
        assert {host for _, host in proxy.seen} == set(VENDORS)


@pytest.mark.parametrize("excepted", ["127.0.0.1", "localhost, 127.0.0.1", "*"])
async def test_hosts_in_no_proxy_are_reached_directly(tmp_path: Path, excepted: str) -> None:
    async with Emulators.start(KNOWN_AS) as emulators, HttpProxy({}).serving() as proxy:
        environment = {"http_proxy": proxy.url, "https_proxy": proxy.url, "no_proxy": excepted}
        direct = {
            "WHATSAPP_API_BASE_URL": f"{emulators.url}/graph",
            "OPENAI_BASE_URL": f"{emulators.url}/openai/v1",
            "COMPOSIO_BASE_URL": f"{emulators.url}/composio",
        }
        async with Pair(tmp_path, environment, direct).running() as pair:
            await converse(emulators, pair)
        assert proxy.seen == []


async def test_kernelctl_meets_the_service_directly(tmp_path: Path) -> None:
    async with Emulators.start(KNOWN_AS) as emulators, HttpProxy({}).serving() as proxy:
        environment = {"http_proxy": proxy.url, "https_proxy": proxy.url}
        async with Pair(tmp_path, environment, {"OPENAI_BASE_URL": f"{emulators.url}/openai/v1"}).running() as pair:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "kernelctl.kernelctl", "kernels"),
                env=pair.environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            _, told = await process.communicate()
        assert (process.returncode, proxy.seen) == (0, []), told


@pytest.mark.parametrize("module", ["kernel_service", "whatsapp_gateway"])
@pytest.mark.parametrize(
    "proxy", ["socks5://clerk:proxy-password@proxy:1080", "https://proxy:3128", "http://", "http://proxy:port"]
)
async def test_a_proxy_that_cannot_be_used_is_named_and_ends_the_start(tmp_path: Path, module: str, proxy: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        env=Pair(tmp_path, {"https_proxy": proxy}, {}).environment,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    assert process.returncode == 2, told
    assert "https_proxy must be a proxy of the form http://host:port" in told.decode()
    assert b"proxy-password" not in told
    assert b"Traceback" not in told


@asynccontextmanager
async def tls_in_front_of(emulators: Emulators, folder: Path) -> AsyncIterator[tuple[int, Path]]:
    """The port of a TLS server with the vendors' names that forwards everything, and the authority that signed it."""
    far = int(emulators.url.rpartition(":")[2])

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", far)
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))

    authority = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], authority
    finally:
        server.close()


def certificate(folder: Path) -> Path:
    """Key and certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vendor.test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in VENDORS]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "vendors.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file
