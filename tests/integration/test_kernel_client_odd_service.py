"""`kernel_client` with a service that breaks off, answers nonsense or nothing, and with requests that are too large."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from kernel.v1 import channel_pb2

from kernel_client import KernelClient, KernelError, MediaWanted
from kernel_client.advice import ADVICE
from tests.integration.odd_service import OddService, odd_service
from tests.ports import free_port
from tests.unit.kernelctl.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

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


async def test_a_turn_that_ends_in_order_without_its_answer_is_repeated(
    service: OddService, kernel: KernelClient
) -> None:
    service.halves = 1
    events = [event.WhichOneof("event") async for event in kernel.stream(ADA, "hello")]
    assert events == ["text_delta", "text_reset", "text_delta", "completed"]


@pytest.mark.parametrize("serves_channels", [True, False], ids=["one stream", "older"])
async def test_an_outbox_that_is_not_served_is_opened_again(
    service: OddService, kernel: KernelClient, monkeypatch: pytest.MonkeyPatch, *, serves_channels: bool
) -> None:
    monkeypatch.setattr("kernel_client.connection.OPENING_SECONDS", 0.1)
    service.unserved, service.serves_channels = 2, serves_channels
    async with aclosing(kernel.replies("telegram")) as replies:
        assert (await anext(replies)).id == "rp_1"
    assert service.streams == 3


async def test_an_outbox_is_not_opened_before_the_time_that_the_service_names(
    service: OddService, kernel: KernelClient
) -> None:
    service.busy_for = 1
    async with aclosing(kernel.replies("telegram")) as replies:
        assert (await anext(replies)).id == "rp_1"
    first, second = service.began
    assert second - first >= 1


async def test_after_a_suspension_the_replies_that_waited_come_again_at_once(
    service: OddService, kernel: KernelClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service leases nothing further, and would keep the lease for a minute."""
    monkeypatch.setattr("kernel_client.stall_detector.STOPPED_SECONDS", 0.2)
    monkeypatch.setattr("kernel_client.stall_detector.BEAT_SECONDS", 0.05)
    async with aclosing(kernel.replies("telegram")) as replies:
        begun = asyncio.create_task(anext(replies))
        while not kernel._connection.open_streams:
            await asyncio.sleep(0)
        time.sleep(0.3)  # noqa: ASYNC251 - as a consumer that blocks its loop
        async with asyncio.timeout(5):
            reply = await begun
            while not reply.is_live:
                await asyncio.sleep(0.01)
    assert service.streams == 2


@pytest.mark.parametrize("stalls", ["service", "pieces"])
async def test_an_upload_that_stalls_ends_at_its_limit(service: OddService, kernel: KernelClient, stalls: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.Event().wait()

    async with aclosing(kernel.outbox("telegram", media=True)) as items:
        wanted = await anext(items)
        assert isinstance(wanted, MediaWanted)
        with pytest.raises(KernelError, match="DEADLINE_EXCEEDED"):
            await wanted.upload(bytes(2**24) if stalls == "service" else pieces(), timeout=0.2)


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


@pytest.mark.parametrize(
    ("name", "days", "reason"),
    [("localhost", -1, "TLS_CERTIFICATE_EXPIRED"), ("kernel.example", 90, "TLS_NAME_WRONG")],
)
async def test_a_certificate_problem_of_a_further_node_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, days: float, reason: str
) -> None:
    authority = Authority(tmp_path)
    authority.context()
    pem = (tmp_path / "localhost.pem").read_bytes()
    other = await asyncio.start_server(lambda _, writer: writer.close(), "localhost", ssl=authority.context(name, days))
    async with odd_service(pem) as odd, other, KernelClient(odd.address, "token", tls_ca=authority.file) as kernel:
        port = other.sockets[0].getsockname()[1]
        odd.nodes = [channel_pb2.ServingNode(id=f"k_{port}", address=f"127.0.0.1:{port}")]
        async with asyncio.timeout(20), aclosing(kernel.replies("telegram")) as replies:
            assert (await anext(replies)).is_live
            while reason not in caplog.text:
                await asyncio.sleep(0.01)
    assert ADVICE[reason] in caplog.text
