"""A hanging service ends, so that it is restarted: detected from inside and from outside."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from serving.beats import HUNG
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN = "whatsapp-token-of-the-tests"
SECONDS = 60
HANGS = """
import asyncio, time

def hang_on_private_words():
    time.sleep(600)

asyncio.get_running_loop().call_later(1, hang_on_private_words)
tools = []
"""


def settings(folder: Path) -> dict[str, str]:
    listens = ("KERNEL_LISTEN", "KERNEL_METRICS_LISTEN", "CONNECT_LISTEN", "GATEWAY_LISTEN")
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
        "KERNEL_DATABASE_URL": f"sqlite:///{folder}/kernel.db",
        "KERNEL_CHANNEL_TOKENS": f"whatsapp={TOKEN}",
        "KERNEL_ENCRYPTION_KEYS": "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "OPENAI_API_KEY": "sk-test",
        "COMPOSIO_API_KEY": "ak_test",
        "KERNEL_TOKEN": TOKEN,
        "WHATSAPP_ACCESS_TOKEN": "t",
        "WHATSAPP_APP_SECRET": "s",
        "WHATSAPP_VERIFY_TOKEN": "v",
        "WHATSAPP_PHONE_NUMBER_ID": "1",
        "KERNEL_WATCHDOG_SECONDS": "3",
        "GATEWAY_WATCHDOG_SECONDS": "3",
        **{name: f"127.0.0.1:{free_port()}" for name in listens},
    }


@asynccontextmanager
async def started(environment: dict[str, str], *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def served(url: str) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(SECONDS):
        while True:
            try:
                async with http.get(url) as response:
                    if response.ok:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


def child_of(pid: int) -> int:
    [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


async def test_a_tool_that_blocks_the_loop_ends_the_kernel_service_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text(HANGS)
    environment = settings(tmp_path) | {"KERNEL_TOOLS": "hanging:tools"}
    async with started(environment, "kernel_service") as process, asyncio.timeout(SECONDS):
        _, told = await process.communicate()
    assert process.returncode == HUNG, told
    assert b"the event loop has not run for 3 s" in told
    assert b"in hang_on_private_words" in told
    assert TOKEN.encode() not in told


@pytest.mark.parametrize(
    ("module", "listen"), [("kernel_service", "KERNEL_METRICS_LISTEN"), ("whatsapp_gateway", "GATEWAY_LISTEN")]
)
async def test_a_service_that_is_stopped_is_killed_by_its_supervisor(tmp_path: Path, module: str, listen: str) -> None:
    environment = settings(tmp_path)
    async with started(environment, "serving.supervise", module) as supervisor, asyncio.timeout(SECONDS):
        await served(f"http://{environment[listen]}/healthz")
        os.kill(child_of(supervisor.pid), signal.SIGSTOP)
        _, told = await supervisor.communicate()
    assert supervisor.returncode == HUNG, told
    assert f"supervise: {module} has not run for 3 s".encode() in told


@pytest.mark.parametrize("module", ["kernel_service", "whatsapp_gateway"])
async def test_a_service_that_was_stopped_for_a_while_continues(tmp_path: Path, module: str) -> None:
    environment = settings(tmp_path)
    listen = environment["GATEWAY_LISTEN" if module == "whatsapp_gateway" else "KERNEL_METRICS_LISTEN"]
    async with started(environment, module) as process, asyncio.timeout(SECONDS):
        await served(f"http://{listen}/healthz")
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(6)  # twice as long as its loop may hang
        process.send_signal(signal.SIGCONT)
        await served(f"http://{listen}/healthz")
        await asyncio.sleep(2)
        assert process.returncode is None
        process.terminate()
        _, told = await process.communicate()
    assert process.returncode == 0
    assert b"has not run" not in told
