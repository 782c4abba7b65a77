"""The profile `tls`: a real Caddy in front of the webhook and the connect pages, and of nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import shutil
import ssl
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from kernel_service.connections.web.proxies import TrustedProxies
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.integration.world import World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("caddy"), reason="caddy is not installed; .ci/run installs it"),
]
CADDYFILE = Path(__file__).parents[2] / "deploy" / "tls" / "Caddyfile"
SECONDS = 30
VISITOR = "127.0.0.7"


class Caddy:
    """A running Caddy for localhost, under its own authority, and a client that trusts it."""

    def __init__(self, folder: Path, upstreams: dict[str, str]) -> None:
        self.http, self.https, self.check = free_port(), free_port(), free_port()
        self.log = folder / "caddy.log"
        self.authority = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        self.environment = upstreams | {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "CADDY_HTTP_PORT": str(self.http),
            "CADDY_HTTPS_PORT": str(self.https),
            "CADDY_CHECK_PORT": str(self.check),
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[aiohttp.ClientSession]:
        command = ("caddy", "run", "--config", str(CADDYFILE), "--adapter", "caddyfile")
        with self.log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(*command, env=self.environment, stderr=log)
        try:
            connector = aiohttp.TCPConnector(ssl=await self._is_ready(), local_addr=(VISITOR, 0), resolver=Loopback())
            async with aiohttp.ClientSession(connector=connector) as session:
                yield session
        finally:
            process.terminate()
            await process.wait()

    async def _is_ready(self) -> ssl.SSLContext:
        """Once it has a certificate. A client that trusts its authority."""
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    trusting = ssl.create_default_context(cafile=self.authority)
                    _, writer = await asyncio.open_connection("localhost", self.https, ssl=trusting)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return trusting

    def url(self, path: str) -> str:
        return f"https://localhost:{self.https}{path}"


class Loopback(aiohttp.abc.AbstractResolver):
    """Every name is this machine."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[aiohttp.abc.ResolveResult]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None: ...


@pytest.fixture
async def caddy(world: World, tmp_path: Path) -> Caddy:
    folder = tmp_path / "tls"
    folder.mkdir()
    upstreams = {"CADDY_WEBHOOK": world.webhook_url, "CADDY_CONNECT": world.connect_url}
    return Caddy(folder, {name: url.split("/")[2] for name, url in upstreams.items()})


NOT_PUBLISHED = [
    *("/", "/metrics", "/healthz", "/readyz", "/webhook/", "/webhook/../metrics", "/connect", "/connect/../metrics"),
    *("/connect/%2e%2e/metrics", "/webhook;/../metrics", "/kernel.v1.KernelService/HandleMessage"),
]


async def test_the_webhook_and_the_connect_pages_are_published_and_nothing_else(
    world: World, caddy: Caddy, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitors = recorded_visitors(monkeypatch)
    config = world.emulators.config
    body = json.dumps({"object": "whatsapp_business_account", "entry": []}).encode()
    signature = hmac.new(config.whatsapp_app_secret.encode(), body, hashlib.sha256).hexdigest()
    challenge = {"hub.mode": "subscribe", "hub.verify_token": config.whatsapp_verify_token, "hub.challenge": "7"}
    async with caddy.running() as session:
        async with session.get(caddy.url("/webhook"), params=challenge) as verified:
            assert (verified.status, await verified.text()) == (200, "7")
        for signed, status in ((signature, 200), ("0" * 64, 401)):
            headers = {"X-Hub-Signature-256": f"sha256={signed}"}
            async with session.post(caddy.url("/webhook"), data=body, headers=headers) as received:
                assert received.status == status
                assert "Server" not in received.headers
        forged = {"X-Forwarded-For": "203.0.113.9"}
        async with session.get(caddy.url("/connect/ca_unknown"), headers=forged) as page:
            assert "<html" in await page.text()
            assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert visitors == {VISITOR}
        async with session.get(f"http://127.0.0.1:{caddy.check}/healthz") as own:
            assert own.status == 200
        for path in NOT_PUBLISHED:
            assert await raw_status(session, caddy, path) == 404, path
        async with session.get(f"http://localhost:{caddy.http}/connect/x?n=1", allow_redirects=False) as plain:
            assert (plain.status, plain.headers["Location"]) == (308, "https://localhost/connect/x?n=1")
        for other in ("other.example", "127.0.0.1"):
            headers = {"Host": other}
            async with session.get(f"http://localhost:{caddy.http}/webhook", headers=headers) as stranger:
                assert stranger.status == 404
            async with session.get(caddy.url("/webhook"), headers=headers) as fronted:
                assert fronted.status == 421
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"https://other.example:{caddy.https}/webhook")


async def test_a_site_with_a_path_takes_no_message(caddy: Caddy) -> None:
    """A 200 here would tell WhatsApp that it is delivered."""
    caddy.environment["CADDY_SITE"] = "https://localhost/"
    async with caddy.running() as session, session.post(caddy.url("/webhook"), data=b"{}") as received:
        assert received.status == 404


async def test_a_service_that_is_away_is_reported_without_the_link(world: World, caddy: Caddy) -> None:
    caddy.environment["CADDY_CONNECT"] = f"127.0.0.1:{free_port()}"
    async with (
        caddy.running() as session,
        session.get(caddy.url("/connect/ca_secret?nonce=secret"), headers={"Cookie": "secret"}) as page,
    ):
        assert page.status == 502
    log = caddy.log.read_text()
    assert "connection refused" in log
    assert "secret" not in log
    assert VISITOR not in log


def recorded_visitors(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The client's addresses, as the connect pages find them."""
    seen = set[str]()
    client_of = TrustedProxies.client_of

    def recording(self: TrustedProxies, peer: str, forwarded: Sequence[str]) -> str:
        found = client_of(self, peer, forwarded)
        seen.add(found)
        return found

    monkeypatch.setattr(TrustedProxies, "client_of", recording)
    return seen


async def raw_status(session: aiohttp.ClientSession, caddy: Caddy, path: str) -> int:
    """The status of a path that the client does not tidy first."""
    connector = session.connector
    assert isinstance(connector, aiohttp.TCPConnector)
    reader, writer = await asyncio.open_connection("localhost", caddy.https, ssl=connector._ssl)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{caddy.https}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])
