"""Requests of strangers to the gateway's port cost little, and leave at most one log line."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from serving.one_line import MOST_LINES
from tests.integration.gateway.conftest import Gateway, Start
from tests.integration.gateway.fake_kernel import FakeKernel
from tests.integration.gateway.payloads import encode, sign, text, webhook
from tests.packing import BOMB, PACKED
from tests.ports import free_port

MESSAGE = encode(webhook(text("US.1001", "hi", "wamid.1")))
SECRET = "nonce-that-nobody-may-read"


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
async def test_a_compressed_body_is_refused_signed_or_not(
    gateway: Gateway, kernel: FakeKernel, packed: dict[str, str]
) -> None:
    assert await gateway.post_raw(BOMB, packed) == 415
    assert await gateway.post_raw(BOMB, packed | sign(BOMB)) == 415
    assert await gateway.count('webhooks_total{status="415"}') == 2
    assert not kernel.messages


@pytest.mark.parametrize("path", ["/webhook", "/healthz", "/readyz", "/metrics", "/nowhere"])
async def test_no_page_and_no_method_accepts_a_compressed_body(gateway: Gateway, path: str) -> None:
    url = URL(gateway.webhook_url).with_path(path)
    async with aiohttp.ClientSession() as session:
        for method in ("GET", "POST", "PUT", "DELETE"):
            async with session.request(method, url, data=BOMB, headers={"Content-Encoding": "gzip"}) as answer:
                assert answer.status == 415


async def test_the_signature_covers_the_received_bytes(gateway: Gateway, kernel: FakeKernel) -> None:
    assert await gateway.post_raw(MESSAGE, {"Content-Encoding": "identity"} | sign(MESSAGE)) == 200
    assert kernel.texts_of("whatsapp:US.1001") == ["hi"]


async def test_an_endless_body_is_cut_off(gateway: Gateway) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65_536

    async with aiohttp.ClientSession() as session:
        for headers, expected in (({}, 401), (sign(b"x"), 413)):
            try:
                async with session.post(gateway.webhook_url, data=endless(), headers=headers) as answer:
                    assert answer.status == expected
            except aiohttp.ClientConnectionError:
                assert await gateway.count(f'webhooks_total{{status="{expected}"}}') == 1


# --- the log --------------------------------------------------------------------------------------------------------

REQUEST = f"POST /webhook?hub.verify_token={SECRET} HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256={SECRET}\r\n"
ABORTED = {
    "in its body": f"{REQUEST}Content-Length: 100\r\n\r\n{SECRET}",
    "in a chunk": f"{REQUEST}Transfer-Encoding: chunked\r\n\r\n64\r\n{SECRET}",
    "in its headers": f"{REQUEST}X-Half: {SECRET}",
}
MALFORMED = {
    "no method": f"{SECRET} \x00\r\n\r\n",
    "no HTTP": f"GET /webhook?{SECRET} FTP/9\r\n\r\n",
    "a bad chunk": f"{REQUEST}Transfer-Encoding: chunked\r\n\r\nzz{SECRET}\r\n\r\n",
    "two lengths": f"{REQUEST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{SECRET}",
    "a length and chunks": f"{REQUEST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}",
    "a packed transfer": f"{REQUEST}Transfer-Encoding: gzip, chunked\r\n\r\n1\r\n{SECRET}",
    "a huge header": f"{REQUEST}X-Huge: {SECRET * 2000}\r\n\r\n",
    "many headers": REQUEST + f"X-One: {SECRET}\r\n" * 2000 + "\r\n",
    "a huge address": f"GET /webhook?{SECRET * 2000} HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes that are no text": f"GET /webhook?{SECRET}\udcff HTTP/1.1\r\nHost: \udcff\r\nX: \udcff\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
}


async def sent(gateway: Gateway, raw: str, *, reads: bool) -> bytes:
    """The answer that comes before the sender closes the connection."""
    url = URL(gateway.webhook_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(raw.encode(errors="surrogateescape"))
    await writer.drain()
    answer = b""
    if reads:
        writer.write_eof()
        async with asyncio.timeout(30):
            answer = await reader.read()
    writer.transport.abort()
    return answer


@pytest.mark.parametrize("raw", [*ABORTED.values(), *MALFORMED.values()], ids=[*ABORTED, *MALFORMED])
async def test_a_broken_request_leaves_one_line_without_its_content(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, raw: str
) -> None:
    caplog.set_level(logging.INFO)
    for reads in (False, *[raw in MALFORMED.values()] * 2):
        await sent(gateway, raw, reads=reads)
    for _ in range(2):
        assert (await gateway.get("/healthz"))[0] == 200, "it has handled the others before"
    assert SECRET not in caplog.text
    assert "Traceback" not in caplog.text
    lines = [one for one in caplog.records if one.name == "serving.http"]
    assert all(re.fullmatch(r"[ \w:.()]{1,120}", one.getMessage()) for one in lines)


async def test_a_flood_of_broken_requests_leaves_few_lines(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(MOST_LINES * 4):
        await sent(gateway, f"GET /webhook?{SECRET} FTP/9\r\n\r\n", reads=True)
    assert len(caplog.records) <= MOST_LINES


# --- a separate listener --------------------------------------------------------------------------------------------


async def test_metrics_on_a_separate_listener_are_on_no_other(start_gateway: Start) -> None:
    port = free_port()
    gateway: Gateway = await start_gateway(gateway_metrics_listen=f"127.0.0.1:{port}")
    await gateway.post_raw(MESSAGE, {})
    assert (await gateway.get("/metrics"))[0] == 404
    assert (await gateway.get("/healthz"))[0] == 200
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            assert 'gateway_webhooks_total{status="401"} 1.0' in await answer.text()
        for path in ("/webhook", "/healthz", "/"):
            async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                assert answer.status == 404
        async with session.get(f"http://127.0.0.1:{port}/metrics", data=BOMB, headers=PACKED["gzip"]) as answer:
            assert answer.status == 415
