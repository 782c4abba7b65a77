"""A webhook's body is read however its bytes arrive."""

import asyncio

import pytest
from yarl import URL

from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.fake_kernel import FakeKernel
from tests.integration.gateway.payloads import encode, sign, text, webhook

WORDS = ("one " * 9_000, "two " * 9_000)
ONE, TWO = (encode(webhook(text("US.1001", words, f"wamid.{words[:3]}"))) for words in WORDS)


def request(raw: bytes, length: str = "", body: bytes | None = None) -> bytes:
    headers = f"X-Hub-Signature-256: {sign(raw)['X-Hub-Signature-256']}\r\n{length or f'Content-Length: {len(raw)}'}"
    return f"POST /webhook HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode() + (raw if body is None else body)


CHUNKED = request(ONE, "Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(ONE), ONE))


@pytest.mark.parametrize(
    "pieces",
    [
        (request(ONE), request(TWO)),
        (request(ONE) + request(TWO),),
        (request(ONE) + request(TWO)[:-9], request(TWO)[-9:]),
        (request(ONE, body=b""), ONE, request(TWO)),
        (request(ONE)[:-1], ONE[-1:], request(TWO)),
        (request(ONE)[:50], request(ONE)[50:] + request(TWO)),
        (CHUNKED, request(TWO)),
        (CHUNKED[:-7], CHUNKED[-7:] + request(TWO)),
    ],
)
async def test_two_webhooks_of_one_connection_are_read(
    gateway: Gateway, kernel: FakeKernel, pieces: tuple[bytes, ...]
) -> None:
    url = URL(gateway.webhook_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        for _ in range(2):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    assert kernel.texts_of("whatsapp:US.1001") == list(WORDS)
    writer.close()


async def test_a_signed_body_without_a_byte_is_a_bad_request(gateway: Gateway, kernel: FakeKernel) -> None:
    assert await gateway.post_raw(b"", sign(b"")) == 400
    assert not kernel.messages
