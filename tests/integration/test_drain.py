"""The kernel service as a process that is told to end: at once if necessary, otherwise in order. Nothing is lost."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kernel.v1 import kernel_pb2_grpc, messages_pb2

from emulators.app import Emulators
from tests.integration.world import TELEGRAM_TOKEN, bearer
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEY = f"k1:{base64.b64encode(bytes(32)).decode()}"
SECOND_SIGNAL = 130


class Service:
    """One process of the kernel service after another, on one database."""

    def __init__(self, emulators: Emulators, folder: Path, drain_seconds: float) -> None:
        self.port = free_port()
        self._environment = os.environ | {
            "KERNEL_LISTEN": f"127.0.0.1:{self.port}",
            "KERNEL_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
            "CONNECT_LISTEN": f"127.0.0.1:{free_port()}",
            "KERNEL_DATABASE_URL": f"sqlite:///{folder}/kernel.db",
            "KERNEL_CHANNEL_TOKENS": f"telegram={TELEGRAM_TOKEN}",
            "KERNEL_ENCRYPTION_KEYS": KEY,
            "KERNEL_DEBOUNCE_SECONDS": "0",
            "KERNEL_DRAIN_SECONDS": str(drain_seconds),
            "OPENAI_API_KEY": emulators.config.openai_api_key,
            "OPENAI_BASE_URL": f"{emulators.url}/openai/v1",
            "COMPOSIO_API_KEY": emulators.config.composio_api_key,
            "COMPOSIO_BASE_URL": f"{emulators.url}/composio",
        }

    @asynccontextmanager
    async def process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "kernel_service", env=self._environment)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[grpc.aio.Channel]:
        options = [("grpc.min_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=options) as channel:
            yield channel


async def say(channel: grpc.aio.Channel, mode: messages_pb2.ReplyMode.ValueType) -> messages_pb2.HandleMessageResponse:
    request = messages_pb2.HandleMessageRequest(
        user_id="telegram:42", message_id="m1", payload=messages_pb2.Payload(text="hello"), reply_mode=mode
    )
    answer: messages_pb2.HandleMessageResponse = await kernel_pb2_grpc.KernelServiceStub(channel).HandleMessage(
        request, metadata=bearer(TELEGRAM_TOKEN), timeout=60, wait_for_ready=True
    )
    return answer


async def test_an_unfinished_turn_is_released_and_answered_once(tmp_path: Path) -> None:
    async with Emulators.start() as emulators:
        service = Service(emulators, tmp_path, drain_seconds=0.5)
        hold = emulators.openai.hold()
        async with service.process() as process, service.channel() as channel:
            waiting = asyncio.create_task(say(channel, messages_pb2.REPLY_MODE_INLINE))
            await asyncio.wait_for(hold.reached.wait(), 60)
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 20) == 0
            with pytest.raises(grpc.aio.AioRpcError):
                await waiting
        hold.release()
        async with service.process(), service.channel() as channel:
            answer = await say(channel, messages_pb2.REPLY_MODE_INLINE)
        assert (answer.duplicate, answer.status) == (True, messages_pb2.MESSAGE_STATUS_COMPLETED)
        assert "message 1 of our chat" in answer.replies[0].text


async def test_a_draining_service_says_so_accepts_nothing_and_ends_at_a_second_signal(tmp_path: Path) -> None:
    async with Emulators.start() as emulators:
        service = Service(emulators, tmp_path, drain_seconds=60)
        hold = emulators.openai.hold()
        async with service.process() as process, service.channel() as channel:
            accepted = await say(channel, messages_pb2.REPLY_MODE_OUTBOX)
            assert accepted.status == messages_pb2.MESSAGE_STATUS_ACCEPTED
            await asyncio.wait_for(hold.reached.wait(), 60)
            health = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(service="kernel.v1.KernelService"), timeout=60
            )
            states = aiter(health)
            assert (await anext(states)).status == health_pb2.HealthCheckResponse.SERVING
            process.send_signal(signal.SIGTERM)
            assert (await anext(states)).status == health_pb2.HealthCheckResponse.NOT_SERVING
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await say(channel, messages_pb2.REPLY_MODE_OUTBOX)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == SECOND_SIGNAL
