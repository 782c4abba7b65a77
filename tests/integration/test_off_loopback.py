"""Both services as docker-compose.yml starts them: on every interface, with a self-signed certificate."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
from click.testing import CliRunner

from kernelctl.kernelctl import main as kernelctl
from serving.own_certificate import ensure
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECONDS = 60
PATHS = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}


@asynccontextmanager
async def started(module: str, environment: dict[str, str], url: str) -> AsyncIterator[None]:
    """Run until the block is left. It is ready when the URL answers 200."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, env=PATHS | environment)
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(SECONDS):
            while not await answers(http, url):
                assert process.returncode is None
                await asyncio.sleep(0.1)
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as answer:
            return answer.ok
    except aiohttp.ClientError:
        return False


async def test_they_meet_over_tls_and_refuse_nothing_of_good_settings(tmp_path: Path) -> None:
    key, certificate = tmp_path / "service.key", tmp_path / "service.pem"
    ensure(key, certificate, ["kernel_service", "localhost", "127.0.0.1"])
    token, admin, (grpc, metrics, connect, gateway) = (
        secrets.token_hex(16),
        secrets.token_hex(16),
        (free_port() for _ in range(4)),
    )
    kernel = {
        "KERNEL_LISTEN": f"0.0.0.0:{grpc}",
        "KERNEL_METRICS_LISTEN": f"0.0.0.0:{metrics}",
        "CONNECT_LISTEN": f":{connect}",
        "CONNECT_PUBLIC_URL": "https://connect.example.com",
        "KERNEL_TLS_CERT": str(certificate),
        "KERNEL_TLS_KEY": str(key),
        "KERNEL_CHANNEL_TOKENS": f"whatsapp={token}",
        "KERNEL_ADMIN_TOKEN": admin,
        "KERNEL_ENCRYPTION_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "KERNEL_DATABASE_URL": f"sqlite:///{tmp_path}/kernel.db",
        "OPENAI_API_KEY": "sk-of-somebody",
        "COMPOSIO_API_KEY": "ak_of_somebody",
    }
    whatsapp = {
        "GATEWAY_LISTEN": f"0.0.0.0:{gateway}",
        "KERNEL_ADDRESS": f"dns:///localhost:{grpc}",
        "KERNEL_TLS_CA": str(certificate),
        "KERNEL_TOKEN": token,
        "WHATSAPP_ACCESS_TOKEN": "EAA-of-somebody",
        "WHATSAPP_APP_SECRET": f"{secrets.token_hex(16)},{secrets.token_hex(16)}",
        "WHATSAPP_VERIFY_TOKEN": "a word of our own",
        "WHATSAPP_PHONE_NUMBER_ID": "42",
    }
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(started("kernel_service", kernel, f"http://127.0.0.1:{metrics}/healthz"))
        # The gateway is ready once it has reached the kernel service.
        await stack.enter_async_context(started("whatsapp_gateway", whatsapp, f"http://127.0.0.1:{gateway}/readyz"))
        options = ["--address", f"dns:///127.0.0.1:{grpc}", "--token", admin]
        trusting = ["--tls-ca", str(certificate)]
        listed = await asyncio.to_thread(CliRunner().invoke, kernelctl, [*options, *trusting, "kernels"])
        assert listed.exit_code == 0, listed.output
        in_plain_text = await asyncio.to_thread(CliRunner().invoke, kernelctl, [*options, "kernels"])
        assert in_plain_text.exit_code == 1
