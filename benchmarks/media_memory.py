"""Memory under many large files: `python benchmarks/media_memory.py [files] [MiB each]`, by default 50 of 16.

Both services run as separate processes on SQLite. A sink replaces WhatsApp and OpenAI: it generates the bytes on
request, reads everything it gets and stores nothing. Prints the peak resident memory of each service (VmHWM), at rest
and after all files were answered.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
from aiohttp import web

from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MIB = 1024 * 1024
NUMBER = "106540352242922"
APP_KEY = "key-of-the-app"
HEAD = b"%PDF-1.7\n"
PIECE = os.urandom(64 * 1024)


class Sink:
    """The parts of WhatsApp and OpenAI that a document and its answer need."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.url = ""
        self.shown = 0
        self.answered = 0
        self.done = asyncio.Event()

    def application(self) -> web.Application:
        app = web.Application(client_max_size=0)
        app.router.add_get("/graph/v26.0/{id}", self._where)
        app.router.add_get("/bytes", self._bytes)
        app.router.add_post("/graph/v26.0/{number}/messages", self._sent)
        app.router.add_post("/openai/responses", self._respond)
        return app

    async def _where(self, _: web.Request) -> web.Response:
        found = {"url": f"{self.url}/bytes", "mime_type": "application/pdf", "file_size": self.size}
        return web.json_response(found)

    async def _bytes(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(self.size)})
        await response.prepare(request)
        await response.write(HEAD)
        left = self.size - len(HEAD)
        while left:
            await response.write(PIECE[:left])
            left -= min(left, len(PIECE))
        return response

    async def _respond(self, request: web.Request) -> web.Response:
        read = 0
        async for piece in request.content.iter_chunked(MIB):
            read += len(piece)
        self.shown += read > self.size
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Read."}]}
        return web.json_response({"status": "completed", "output": [said], "usage": {}})

    async def _sent(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("type") == "text":
            self.answered += 1
            if self.answered == self.expected:
                self.done.set()
        return web.json_response({"messages": [{"id": f"wamid.{self.answered}.{time.time_ns()}"}]})

    expected = 0


def webhook(person: int) -> bytes:
    document = {"id": f"9{person:014d}", "mime_type": "application/pdf", "filename": f"{person}.pdf"}
    message = {
        "from_user_id": f"US.{person}", "id": f"wamid.in.{person}", "timestamp": str(int(time.time())),
        "type": "document", "document": document,
    }  # fmt: skip
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": NUMBER},
        "contacts": [{"profile": {"name": "P"}, "user_id": f"US.{person}"}],
        "messages": [message],
    }
    body = {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}
    return orjson.dumps(body)


def peak(pid: int) -> float:
    """MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@asynccontextmanager
async def process(module: str, environment: dict[str, str]) -> AsyncIterator[int]:
    given = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    started = await asyncio.create_subprocess_exec(sys.executable, "-m", module, env=given | environment)
    try:
        yield started.pid
    finally:
        started.terminate()
        await started.wait()


async def until_ready(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def main(files: int, size: int) -> None:
    sink = Sink(size)
    sink.expected = files
    runner = web.AppRunner(sink.application(), access_log=None)
    await runner.setup()
    port, kernel_port, gateway_port = free_port(), free_port(), free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    sink.url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        kernel = {
            "KERNEL_LISTEN": f"127.0.0.1:{kernel_port}",
            "KERNEL_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
            "CONNECT_LISTEN": f"127.0.0.1:{free_port()}",
            "KERNEL_DATABASE_URL": f"sqlite:///{folder}/kernel.db",
            "KERNEL_CHANNEL_TOKENS": "whatsapp=token-of-the-benchmark",
            "KERNEL_ENCRYPTION_KEYS": f"k:{base64.b64encode(os.urandom(32)).decode()}",
            "OPENAI_API_KEY": "key",
            "OPENAI_BASE_URL": f"{sink.url}/openai",
            "COMPOSIO_API_KEY": "key",
            "COMPOSIO_BASE_URL": f"{sink.url}/composio",
        }
        gateway = {
            "GATEWAY_LISTEN": f"127.0.0.1:{gateway_port}",
            "KERNEL_ADDRESS": f"dns:///127.0.0.1:{kernel_port}",
            "KERNEL_TOKEN": "token-of-the-benchmark",
            "WHATSAPP_ACCESS_TOKEN": "token",
            "WHATSAPP_APP_SECRET": APP_KEY,
            "WHATSAPP_VERIFY_TOKEN": "verify",
            "WHATSAPP_PHONE_NUMBER_ID": NUMBER,
            "WHATSAPP_API_BASE_URL": f"{sink.url}/graph",
        }
        async with (
            aiohttp.ClientSession() as session,
            process("kernel_service", kernel) as kernel_pid,
            process("whatsapp_gateway", gateway) as gateway_pid,
        ):
            root = f"http://127.0.0.1:{gateway_port}"
            await until_ready(session, f"{root}/readyz")
            print(f"at rest: kernel service {peak(kernel_pid):.0f} MiB, gateway {peak(gateway_pid):.0f} MiB")
            began = time.monotonic()
            await asyncio.gather(*(deliver(session, f"{root}/webhook", webhook(person)) for person in range(files)))
            await asyncio.wait_for(sink.done.wait(), 600)
            seconds = time.monotonic() - began
            print(
                f"{files} files of {size / MIB:.0f} MiB at once: kernel service {peak(kernel_pid):.0f} MiB, gateway "
                f"{peak(gateway_pid):.0f} MiB; {sink.shown} shown to the model, {seconds:.1f} s"
            )
    await runner.cleanup()


async def deliver(session: aiohttp.ClientSession, url: str, raw: bytes) -> Any:
    signed = {"X-Hub-Signature-256": "sha256=" + hmac.digest(APP_KEY.encode(), raw, hashlib.sha256).hex()}
    async with session.post(url, data=raw, headers=signed) as response:
        response.raise_for_status()


if __name__ == "__main__":
    count, mib = (*map(int, sys.argv[1:3]), *(50, 16)[len(sys.argv) - 1 :])
    asyncio.run(main(count, mib * MIB))
