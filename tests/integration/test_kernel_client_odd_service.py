"""`kernel_client` with a service that breaks off, answers nonsense or nothing, and with requests that are too large."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from kernel_client import KernelClient, KernelError
from tests.integration.odd_service import OddService, odd_service
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADA = "telegram:ada"
TOO_LARGE = "x" * 5_000_000
"""More than the service reads at once."""


@pytest.fixture
async def service() -> AsyncIterator[OddService]:
    async with odd_service() as odd:
        yield odd


@pytest.fixture
async def kernel(service: OddService) -> AsyncIterator[KernelClient]:
    async with KernelClient(service.address, "token") as opened, asyncio.timeout(20):
        yield opened


@pytest.mark.parametrize("ending", ["breaks", "hangs"])
async def test_a_turn_is_completed_once(service: OddService, kernel: KernelClient, ending: str) -> None:
    if ending == "hangs":
        service.breaks = False
    events = [event.WhichOneof("event") async for event in kernel.stream(ADA, "hello")]
    assert (events, service.calls) == (["text_delta", "completed"], 1)


async def test_an_acknowledgement_without_a_result_does_not_wait_for_ever(
    service: OddService, kernel: KernelClient
) -> None:
    service.settled = []
    async with aclosing(kernel.replies("telegram")) as replies:
        with pytest.raises(KernelError, match="ACK_REFUSED"):
            await (await anext(replies)).delivered()


async def test_a_request_that_is_too_large_is_refused_at_once_and_breaks_no_stream(
    service: OddService, kernel: KernelClient
) -> None:
    async with aclosing(kernel.replies("telegram")) as replies:
        reply = await anext(replies)
        for call in (kernel.send, kernel.submit):
            with pytest.raises(KernelError, match="PAYLOAD_TOO_LARGE"):
                await call(ADA, TOO_LARGE)
        with pytest.raises(KernelError, match="PAYLOAD_TOO_LARGE"):
            await anext(kernel.stream(ADA, TOO_LARGE))
        with pytest.raises(KernelError, match="ACK_REFUSED"):
            await reply.failed(TOO_LARGE)
    assert (service.streams, service.calls) == (1, 0)


async def test_calls_that_wait_end_with_the_client(service: OddService, kernel: KernelClient) -> None:
    """Not as if their task was cancelled: a group of tasks would drop that without a word."""
    asked = asyncio.create_task(kernel.send(ADA, "hello"))
    while not service.calls:
        await asyncio.sleep(0)
    await kernel.close()
    with pytest.raises(KernelError, match="CANCELLED"):
        await asked


async def test_a_call_that_waits_for_a_service_ends_with_the_client() -> None:
    async with KernelClient(f"127.0.0.1:{free_port()}", "token") as kernel, asyncio.timeout(20):
        asked = asyncio.create_task(kernel.send(ADA, "hello"))
        await asyncio.sleep(0)
        await kernel.close()
        with pytest.raises(KernelError, match="CANCELLED"):
            await asked


async def test_a_call_without_an_end_to_its_time_is_made(service: OddService, kernel: KernelClient) -> None:
    events = [event async for event in kernel.stream(ADA, "hello", timeout=float("inf"))]
    assert events[-1].completed.replies[0].text == "Hello."
