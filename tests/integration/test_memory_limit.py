"""KERNEL_MEMORY_MB limits the resident memory of the real process, however many people write."""

from __future__ import annotations

import asyncio
import base64
import random
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import orjson
import pytest
from kernel.v1 import kernel_pb2_grpc, messages_pb2

from benchmarks.http_server import Conversation
from benchmarks.processes import Process
from tests.integration.world import bearer
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    Stub = Any

TOKEN = "whatsapp-token-of-the-tests"
MIB = 1024 * 1024
WARM, PEOPLE, AT_ONCE = 150, 1200, 30
TEXT_BYTES = 60_000
"""Of a message. It is random, and compresses to 45 KB."""
ROOM_MB = 25
"""The limit above the memory of the process with `WARM` people."""


def model_answer(path: bytes, body: bytes) -> bytes:
    text = {"type": "output_text", "text": "ok", "annotations": []}
    said = {"type": "message", "status": "completed", "role": "assistant", "content": [text]}
    usage = {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10}
    return orjson.dumps({"id": "r", "object": "response", "status": "completed", "output": [said], "usage": usage})


@asynccontextmanager
async def vendors() -> AsyncIterator[str]:
    """OpenAI; Composio's requests get an answer that is of no use."""
    serve = partial(Conversation, model_answer, lambda path: 0.0)
    server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@asynccontextmanager
async def kernel_service(folder: Path, vendor: str, memory_mb: int) -> AsyncIterator[tuple[Process, Stub]]:
    listen, metrics = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    settings = {
        "KERNEL_LISTEN": listen,
        "KERNEL_METRICS_LISTEN": metrics,
        "CONNECT_LISTEN": f"127.0.0.1:{free_port()}",
        "KERNEL_DATABASE_URL": f"sqlite:///{folder}/{memory_mb}.db",
        "KERNEL_CHANNEL_TOKENS": f"whatsapp={TOKEN}",
        "KERNEL_ENCRYPTION_KEYS": "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "KERNEL_DEBOUNCE_SECONDS": "0",
        "KERNEL_MODEL_PER_MINUTE": "0",
        "KERNEL_MEMORY_MB": str(memory_mb),
        "COMPOSIO_API_KEY": "test",
        "COMPOSIO_BASE_URL": vendor,
        "OPENAI_API_KEY": "test",
        "OPENAI_BASE_URL": f"{vendor}/v1",
    }
    process = Process("kernel_service", settings, folder / f"{memory_mb}.log")
    try:
        await process.ready(f"http://{metrics}/healthz")
        async with grpc.aio.insecure_channel(listen) as channel:
            yield process, kernel_pb2_grpc.KernelServiceStub(channel)
    finally:
        await process.end()


async def write(stub: Stub, people: range) -> None:
    """Each person writes one long message, and is answered."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        text = base64.b64encode(random.Random(number).randbytes(TEXT_BYTES * 3 // 4)).decode()
        request = messages_pb2.HandleMessageRequest(
            user_id=f"whatsapp:{number}", message_id=f"m{number}", payload=messages_pb2.Payload(text=text)
        )
        async with gate:
            answer = await stub.HandleMessage(request, metadata=bearer(TOKEN), timeout=60)
        assert answer.status == messages_pb2.MESSAGE_STATUS_COMPLETED

    await asyncio.gather(*map(one, people))


def peak_bytes(process: Process) -> int:
    """The peak of the resident memory since the process started."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_resident_kernel_with_50_turns_takes_24_kilobytes_as_it_is_counted() -> None:
    measured = "from benchmarks.memory import resident_slope; print(*resident_slope(1500))"
    told = subprocess.run([sys.executable, "-c", measured], check=True, capture_output=True, text=True).stdout
    resident, counted = map(float, told.split())
    assert resident < 26_000, "half of it is sealed reasoning, which the next request repeats"
    assert counted == pytest.approx(resident, rel=0.15)


def test_resting_kernel_takes_a_kilobyte_at_most() -> None:
    measured = "from benchmarks.memory import resting_slope; print(*resting_slope(1500))"
    told = subprocess.run([sys.executable, "-c", measured], check=True, capture_output=True, text=True).stdout
    resident, counted = map(float, told.split())
    assert resident < 3_000, "of few kernels the slope is not exact"
    assert counted < 1_000


@pytest.mark.slow
async def test_many_people_stay_within_the_memory_of_the_process(tmp_path: Path) -> None:
    async with vendors() as vendor:
        async with kernel_service(tmp_path, vendor, 0) as (unlimited, stub):
            await write(stub, range(WARM))
            limit_mb = peak_bytes(unlimited) // MIB + ROOM_MB
            await write(stub, range(WARM, PEOPLE))
            assert peak_bytes(unlimited) > limit_mb * MIB, "the load exceeds the limit without one"
        async with kernel_service(tmp_path, vendor, limit_mb) as (limited, stub):
            await write(stub, range(PEOPLE))
            assert peak_bytes(limited) <= limit_mb * MIB
