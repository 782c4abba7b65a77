"""Connections over real sockets: one that is refused by its first line never reaches the application."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from serving import first_look
from serving.first_look import MOST_BYTES
from serving.listening import Address, http_served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Site:
    """An application that gets every request except those with "bad" in the path. `asked` lists the served paths."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.looked_at: list[bytes] = []
        self.port = 0

    def refuses(self, line: bytes) -> bytes | None:
        self.looked_at.append(line)
        return REFUSAL if b"bad" in line else None

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        return web.Response(text=f"{request.path} {await request.text()}")

    async def send(self, *pieces: bytes) -> bytes:
        """Send on one connection; return everything received until it closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def served() -> AsyncIterator[Site]:
    site, app = Site(), web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    async with http_served(app, "TEST_LISTEN", Address("127.0.0.1", 0), refuses=site.refuses) as site.port:
        yield site


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


async def go_on(writer: asyncio.StreamWriter) -> None:
    """Keep sending until the connection is lost."""
    while True:
        writer.write(get("/good"))
        await writer.drain()
        await asyncio.sleep(0)


async def test_a_refused_connection_gets_the_whole_answer_and_bypasses_the_application() -> None:
    async with served() as site:
        assert await site.send(get("/bad")) == REFUSAL
        assert await site.send(get("/bad") + get("/good")) == REFUSAL
        assert site.asked == []


async def test_a_connection_that_is_let_in_keeps_all_received_bytes() -> None:
    async with served() as site:
        assert (await site.send(get("/good"))).endswith(b"/good ")
        posted = b"POST /good HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
        assert (await site.send(posted + b"bo", b"dy")).endswith(b"/good body")
        assert site.asked == ["/good", "/good"]


@pytest.mark.parametrize(("path", "answer"), [("/bad", REFUSAL), ("/good", b"/good ")])
async def test_a_line_that_comes_byte_by_byte_is_judged_once(path: str, answer: bytes) -> None:
    async with served() as site:
        whole = get(path)
        assert (await site.send(*(whole[at : at + 1] for at in range(len(whole))))).endswith(answer)
        assert site.looked_at == [f"GET {path} HTTP/1.1\r".encode()]


async def test_the_application_refuses_an_overlong_line() -> None:
    async with served() as site:
        answer = await site.send(b"GET /" + b"x" * (MOST_BYTES + 100) + b" HTTP/1.1\r\n\r\n")
        assert b" 400 " in answer.partition(b"\r\n")[0]
        assert site.asked == []


async def test_a_refused_connection_that_keeps_sending_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_look, "LINGERING_SECONDS", 0.01)
    async with served() as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(get("/bad"))
        assert await reader.read() == REFUSAL
        async with asyncio.timeout(20):
            with pytest.raises(ConnectionError):
                await go_on(writer)
        assert site.asked == []


async def test_a_connection_that_sends_no_line_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_look, "FIRST_LINE_SECONDS", 0.01)
    async with served() as site:
        with suppress(ConnectionResetError):
            assert await site.send(b"GET /go") == b""
        assert site.looked_at == []


async def test_shutdown_does_not_wait_for_a_silent_connection() -> None:
    async with served() as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        assert await site.send(get("/bad")) == REFUSAL  # the other one is accepted by now
    writer.close()
