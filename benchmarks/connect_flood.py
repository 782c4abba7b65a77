"""The cost for turns of a flood of the connect pages: `python -m benchmarks.connect_flood [requests a second]`.

Kernel service, emulated vendors and the flood are separate processes. Each request of the flood comes from another
address and asks for another link, so that no limit refuses it. The flood itself keeps the machine busy. Therefore each
round has it twice: at a process that only refuses, as connect pages in a separate process would, and at the real
connect pages. The difference is the cost of the pages for turns. Prints the p95 of the turns of ten people, in
milliseconds from `HandleMessage` to its answer.
"""

from __future__ import annotations

import asyncio
import base64
import multiprocessing
import os
import random
import secrets
import sys
import tempfile
import time
from statistics import median
from typing import Any

import aiohttp
import grpc
from aiohttp import web
from kernel.v1 import kernel_pb2_grpc, messages_pb2

from benchmarks.figures import percentile
from emulators.app import Emulators
from emulators.config import Config
from serving.listening import Address, http_served
from tests.ports import free_port

PEOPLE = 10
TURNS = 150
RATE = 15.0
"""Turns per second."""
ROUNDS = 5
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CHANNEL_TOKEN = secrets.token_hex(16)


def flood(pages_url: str, rate: float, stop: multiprocessing.synchronize.Event) -> None:
    asyncio.run(_flood(pages_url, rate, stop))


async def _flood(pages_url: str, rate: float, stop: multiprocessing.synchronize.Event) -> None:
    answers: dict[int, int] = {}
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)) as session,
        asyncio.TaskGroup() as group,
    ):

        async def ask() -> None:
            who = ".".join(str(random.randrange(1, 255)) for _ in range(4))
            url = f"{pages_url}/connect/{secrets.token_urlsafe(32)}"
            async with session.get(url, headers={"X-Forwarded-For": who}) as answer:
                await answer.read()
                answers[answer.status] = answers.get(answer.status, 0) + 1

        began, sent = time.monotonic(), 0
        while not stop.is_set():
            while sent < (time.monotonic() - began) * rate:
                group.create_task(ask())
                sent += 1
            await asyncio.sleep(0.005)
    print(f"  flood: {sum(answers.values()) / (time.monotonic() - began):.0f} a second answered, {answers}")


async def turns(stub: kernel_pb2_grpc.KernelServiceStub) -> list[float]:
    """Run turns of new people: a long history would cost more than any flood."""
    people = [f"bench:{secrets.token_hex(8)}" for _ in range(PEOPLE)]

    async def one(number: int, at: float) -> float:
        await asyncio.sleep(at)
        request = messages_pb2.HandleMessageRequest(
            user_id=people[number % PEOPLE],
            message_id=secrets.token_hex(8),
            payload=messages_pb2.Payload(text="hello"),
        )
        began = time.perf_counter()
        answer: Any = stub.HandleMessage(request, metadata=(("authorization", f"Bearer {CHANNEL_TOKEN}"),), timeout=60)
        await answer
        return (time.perf_counter() - began) * 1000

    return await asyncio.gather(*(one(number, number / RATE) for number in range(TURNS)))


async def main(rate: float) -> None:
    kernel_port, door_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Config(emulators_listen="127.0.0.1:0", kernel_address=f"127.0.0.1:{kernel_port}")
        async with Emulators.start(config) as emulators:
            kernel = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "kernel_service",
                env={
                    **os.environ,
                    "KERNEL_LISTEN": f"127.0.0.1:{kernel_port}",
                    "KERNEL_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
                    "CONNECT_LISTEN": f"127.0.0.1:{door_port}",
                    "CONNECT_TRUSTED_PROXIES": "127.0.0.1",
                    "KERNEL_DATABASE_URL": f"sqlite:///{folder}/kernel.db",
                    "KERNEL_CHANNEL_TOKENS": f"bench={CHANNEL_TOKEN}",
                    "KERNEL_ENCRYPTION_KEYS": f"k1:{base64.b64encode(os.urandom(32)).decode()}",
                    "KERNEL_DEBOUNCE_SECONDS": "0",
                    "KERNEL_MODEL_PER_MINUTE_PER_USER": "0",
                    "OPENAI_API_KEY": config.openai_api_key,
                    "OPENAI_BASE_URL": f"{emulators.url}/openai/v1",
                    "COMPOSIO_API_KEY": config.composio_api_key,
                    "COMPOSIO_BASE_URL": f"{emulators.url}/composio",
                },
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            try:
                async with grpc.aio.insecure_channel(f"127.0.0.1:{kernel_port}") as channel:
                    await asyncio.wait_for(channel.channel_ready(), 60)
                    stub = kernel_pb2_grpc.KernelServiceStub(channel)
                    await turns(stub)
                    await measured(stub, f"http://127.0.0.1:{door_port}", rate)
            finally:
                kernel.terminate()
                await kernel.wait()


def elsewhere(port: int) -> None:
    """A process that refuses every request."""
    asyncio.run(_elsewhere(port))


async def _elsewhere(port: int) -> None:
    app = web.Application()
    async with http_served(app, "elsewhere", Address("127.0.0.1", port), refuses=lambda _: REFUSAL):
        await asyncio.Event().wait()


async def flooded(stub: kernel_pb2_grpc.KernelServiceStub, pages_url: str, rate: float) -> float:
    """The p95 of turns while an address is flooded."""
    spawned = multiprocessing.get_context("spawn")
    stop = spawned.Event()
    process = spawned.Process(target=flood, args=(pages_url, rate, stop))
    process.start()
    await asyncio.sleep(1.5)
    p95 = percentile(await turns(stub), 95)
    stop.set()
    await asyncio.to_thread(process.join)
    return p95


async def measured(stub: kernel_pb2_grpc.KernelServiceStub, pages_url: str, rate: float) -> None:
    port = free_port()
    other = multiprocessing.get_context("spawn").Process(target=elsewhere, args=(port,))
    other.start()
    rounds: list[tuple[float, float, float]] = []
    try:
        for _ in range(ROUNDS):
            quiet = percentile(await turns(stub), 95)
            beside = await flooded(stub, f"http://127.0.0.1:{port}", rate)
            here = await flooded(stub, pages_url, rate)
            rounds.append((quiet, beside, here))
            print(f"p95 quiet {quiet:.1f} ms, flood elsewhere {beside:.1f} ms, at the pages {here:.1f} ms", flush=True)
    finally:
        other.terminate()
    quiet, beside, here = (median(each) for each in zip(*rounds, strict=True))
    print(f"medians: {quiet:.1f} ms, {beside:.1f} ms, {here:.1f} ms: {here / beside - 1:+.0%} of a flood elsewhere")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 500.0))
