"""A small HTTP proxy, as companies have: CONNECT for https, absolute URLs for http, optionally a password."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

HEAD_BYTES = 64 * 1024
HTTP2_PREFACE = "PRI"
"""The start of an HTTP/2 connection, which no client sends to a proxy: it comes from a gRPC client of another test,
whose server had this port before.
"""


@dataclass
class HttpProxy:
    """It knows only the hosts in `hosts`, which maps them to addresses. `seen` is (method, host) of each request.

    `userinfo` is user:password, empty for a proxy without authentication.
    """

    hosts: Mapping[str, tuple[str, int]]
    userinfo: str = ""
    port: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)
    refused: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.userinfo}{'@' if self.userinfo else ''}127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[HttpProxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_BYTES)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, _, headers = head.partition("\r\n")
            method, target, _ = line.split(" ", 2)
            host = target.rpartition(":")[0] if method == "CONNECT" else urlsplit(target).hostname or ""
            if method != HTTP2_PREFACE:
                self.seen.append((method, host))
            if not self._allowed(headers):
                self.refused += 1
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            elif host not in self.hosts:
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            elif method == "CONNECT":
                await self._relay(host, reader, writer, told=b"HTTP/1.1 200 OK\r\n\r\n", sent=b"")
            else:
                path = target.split("/", 3)[3]
                # One request per connection, so that `seen` gets each of them.
                sent = f"{method} /{path} HTTP/1.1\r\nConnection: close\r\n{headers}"
                await self._relay(host, reader, writer, told=b"", sent=sent.encode("latin-1"))
            await writer.drain()
        writer.close()

    async def _relay(
        self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, told: bytes, sent: bytes
    ) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self.hosts[host])
        writer.write(told)
        far_writer.write(sent)
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))

    def _allowed(self, headers: str) -> bool:
        expected = base64.b64encode(self.userinfo.encode()).decode()
        return not self.userinfo or f"proxy-authorization: basic {expected}".lower() in headers.lower()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until one end is closed, then close the other."""
    with suppress(OSError):
        while piece := await reader.read(HEAD_BYTES):
            writer.write(piece)
            await writer.drain()
    writer.close()
