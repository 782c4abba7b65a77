"""Strangers who send bodies slowly, or not at all, neither occupy memory nor delay others."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from yarl import URL

from tests.integration.gateway.conftest import Gateway, Start
from tests.integration.gateway.fake_kernel import FakeKernel
from tests.integration.gateway.payloads import encode, sign, text, webhook
from whatsapp_gateway.inbound import webhook as receiving

SIGNED = "X-Hub-Signature-256: sha256=" + "0" * 64
LARGE = f"Content-Length: {receiving.LARGEST_BODY}"
MESSAGE = encode(webhook(text("US.1001", "hi", "wamid.1")))

Stall = Callable[..., Awaitable[asyncio.StreamReader]]


@pytest.fixture
async def stall() -> AsyncIterator[Stall]:
    """Starts a webhook and never completes it."""
    lines: list[asyncio.StreamWriter] = []

    async def begin(gateway: Gateway, *headers: str) -> asyncio.StreamReader:
        url = URL(gateway.webhook_url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        lines.append(writer)
        writer.write("\r\n".join(("POST /webhook HTTP/1.1", "Host: x", *headers, "", "1")).encode())
        await writer.drain()
        return reader

    yield begin
    for line in lines:
        line.close()


async def answer(reader: asyncio.StreamReader) -> int:
    async with asyncio.timeout(30):
        return int((await reader.readline()).split()[1])


async def test_without_a_signature_the_body_is_not_waited_for(gateway: Gateway, stall: Stall) -> None:
    assert await answer(await stall(gateway, LARGE)) == 401


@pytest.mark.parametrize("header", ["Content-Encoding: gzip", f"Content-Length: {10**15}", "Content-Length: -1"])
async def test_an_unacceptable_body_is_not_waited_for(gateway: Gateway, stall: Stall, header: str) -> None:
    length = () if "Length" in header else (LARGE,)
    assert await answer(await stall(gateway, SIGNED, header, *length)) in {400, 413, 415}


@pytest.mark.parametrize("length", [LARGE, "Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_a_body_that_does_not_come_is_given_up(
    gateway: Gateway, stall: Stall, monkeypatch: pytest.MonkeyPatch, length: str
) -> None:
    monkeypatch.setattr(receiving, "BODY_SECONDS", 0.05)
    assert await answer(await stall(gateway, SIGNED, length)) == 408
    assert await gateway.count('webhooks_total{status="408"}') == 1


@pytest.mark.parametrize("length", [LARGE, "Transfer-Encoding: chunked"])
async def test_few_large_bodies_are_read_at_once_and_small_ones_do_not_wait(
    start_gateway: Start, kernel: FakeKernel, stall: Stall, monkeypatch: pytest.MonkeyPatch, length: str
) -> None:
    monkeypatch.setattr(receiving, "LARGE_AT_ONCE", 1)
    gateway: Gateway = await start_gateway()
    await stall(gateway, SIGNED, length)
    assert await gateway.post_raw(MESSAGE, sign(MESSAGE)) == 200
    assert kernel.texts_of("whatsapp:US.1001") == ["hi"]
    monkeypatch.setattr(receiving, "BODY_SECONDS", 0.05)
    large = MESSAGE + b" " * receiving.SMALL_BODY
    assert await gateway.post_raw(large, sign(large)) == 408
