"""A vendor's server over a plain socket: it reads whole requests, and answers with the bytes that a test gives."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

ANSWER = (
    b'{"status":"completed","output":[{"type":"message","role":"assistant",'
    b'"content":[{"type":"output_text","text":"Hi","annotations":[]}]}]}'
)


def response(body: bytes = ANSWER, *headers: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(head).encode() + body


@dataclass
class Request:
    target: str
    headers: dict[str, str]
    body: bytes
    lines: list[str]
    """The headers as they came, each in its line."""


@dataclass
class RawServer:
    """`answers` are sent in order, the last one for ever. A function writes by itself. None closes the connection."""

    answers: list[bytes | Callable[[asyncio.StreamWriter], Awaitable[None]] | None]
    closes: bool = False
    """Whether it closes each connection after its answer, without saying so."""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[RawServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.close()
            for writer in self._open:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while request := await _read(reader):
                self.requests.append(request)
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                if answer is None:
                    break
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(writer)
                if self.closes:
                    break
        writer.close()
        self._open.discard(writer)
        self.closed.set()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Request(line.split(" ")[1], headers, body, lines)
