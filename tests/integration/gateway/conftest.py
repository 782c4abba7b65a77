"""The gateway between a fake kernel service (real gRPC) and the emulated WhatsApp (real HTTP)."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from emulators.app import Emulators
from tests.integration.gateway.fake_kernel import TOKEN, FakeKernel, Running
from tests.integration.gateway.payloads import NUMBER, SECRET, encode, sign
from whatsapp_gateway.app import ACCEPT_SECONDS, build_app
from whatsapp_gateway.config import Settings


@pytest.fixture
async def running_kernel() -> AsyncIterator[Running]:
    # pytest's own tmp_path is too long for the name of a socket.
    with tempfile.TemporaryDirectory(prefix="gw") as folder:
        fake = FakeKernel()  # type: ignore[abstract]
        running = Running(fake, f"unix:{Path(folder) / 'kernel'}")
        await running.start()
        yield running
        await running.stop()


@pytest.fixture
def kernel(running_kernel: Running) -> FakeKernel:
    return running_kernel.fake


@pytest.fixture
async def emulators() -> AsyncIterator[Emulators]:
    async with Emulators.start() as running:
        running.whatsapp.webhooks.backoff = lambda _: 0.0
        yield running


class Gateway:
    """The gateway under test, from WhatsApp's side."""

    def __init__(self, server: TestServer, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session

    @property
    def webhook_url(self) -> str:
        return str(self._server.make_url("/webhook"))

    async def post(self, body: Any) -> int:
        """Sign and deliver a webhook. Returns the status of the answer."""
        raw = body if isinstance(body, bytes) else encode(body)
        return await self.post_raw(raw, sign(raw))

    async def post_raw(self, raw: bytes, headers: dict[str, str]) -> int:
        async with self._session.post(self.webhook_url, data=raw, headers=headers) as response:
            return response.status

    async def get(self, path: str, **query: str) -> tuple[int, str]:
        async with self._session.get(self._server.make_url(path), params=query) as response:
            return response.status, await response.text()

    async def count(self, sample: str) -> float:
        """The value of one sample of /metrics, as `messages_total{outcome="accepted"}`."""
        _, page = await self.get("/metrics")
        lines = [line for line in page.splitlines() if line.startswith(f"gateway_{sample} ")]
        return float(lines[0].split()[-1]) if lines else 0

    async def has_streams(self, count: int) -> None:
        """Return once it knows that `count` nodes serve its streams. Earlier messages may be separate calls."""
        async with asyncio.timeout(30):
            while await self.count("kernel_streams") != count:
                pass

    async def stop(self) -> None:
        await self._server.close()


Start = Callable[..., Any]


@pytest.fixture
async def start_gateway(running_kernel: Running, emulators: Emulators) -> AsyncIterator[Start]:
    gateways: list[Gateway] = []
    async with aiohttp.ClientSession() as session:

        async def start(
            accept_seconds: float = ACCEPT_SECONDS,
            now: Callable[[], float] = time.monotonic,
            kernel_address: str = "",
            **given: str,
        ) -> Gateway:
            chosen = settings(kernel_address or running_kernel.address, f"{emulators.url}/graph", **given)
            app = await build_app(chosen, accept_seconds=accept_seconds, now=now)
            server = TestServer(app)
            await server.start_server()
            gateways.append(Gateway(server, session))
            emulators.whatsapp.webhooks.url = gateways[-1].webhook_url
            return gateways[-1]

        yield start
        for gateway in gateways:
            await gateway.stop()


@pytest.fixture
async def gateway(start_gateway: Start, kernel: FakeKernel) -> Gateway:
    started: Gateway = await start_gateway()
    await kernel.until(lambda: kernel.pulls)
    return started


def settings(kernel_address: str, graph_url: str, **more: str) -> Settings:
    given = {
        "kernel_address": kernel_address,
        "kernel_token": TOKEN,
        "whatsapp_access_token": "emulated-access-token",
        "whatsapp_app_secret": SECRET,
        "whatsapp_verify_token": "emulated-verify-token",
        "whatsapp_phone_number_id": NUMBER,
        "whatsapp_api_base_url": graph_url,
    }
    return Settings.model_validate(given | more)
