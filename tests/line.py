"""A connection to a PostgreSQL server that a test may cut."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SOCKET = ".s.PGSQL.5432"


class Line:
    """A relay to the server that can be cut: at the next COMMIT (before or after it), or while it is `down`.

    After `go_silent` nothing passes, and neither end is told, as in a network that drops packets, until `speak`.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.cut = ""
        self.cuts = 0
        self.down = False
        self._open = asyncio.Event()
        self._open.set()

    def go_silent(self) -> None:
        self._open.clear()

    def speak(self) -> None:
        self._open.set()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self.down:
            to_client.close()
            return
        server, to_server = await asyncio.open_unix_connection(self._server)
        self._writers |= {to_client, to_server}
        forth = asyncio.create_task(self._forth(client, to_server, server))
        back = asyncio.create_task(self._back(server, to_client, forth))
        self._tasks |= {forth, back}
        await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
        for end in (to_client, to_server):
            end.close()
        for task in (forth, back):
            task.cancel()

    async def _forth(
        self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter, _: asyncio.StreamReader
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await client.read(65536):
                if self.cut and b"COMMIT" in data:
                    self.cuts += 1
                    if self.cut == "before":
                        self.cut = ""
                        return
                await self._open.wait()
                to_server.write(data)
                await to_server.drain()

    async def _back(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter, _: asyncio.Task[None]) -> None:
        with contextlib.suppress(OSError):
            while data := await server.read(65536):
                if self.cut == "after" and b"COMMIT" in data:
                    self.cut = ""
                    return
                await self._open.wait()
                to_client.write(data)
                await to_client.drain()

    def break_all(self) -> None:
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[tuple[Line, str]]:
    """A line to the server of this URL, which has a socket in a folder, and the URL for using the line."""
    parts = urlsplit(url)
    host = parse_qs(parts.query)["host"][0]
    with tempfile.TemporaryDirectory(prefix="line-") as folder:
        line = Line(str(Path(host) / SOCKET))
        server = await asyncio.start_unix_server(line.serve, Path(folder) / SOCKET)
        yield line, parts._replace(query=f"host={folder}").geturl()
        line.break_all()
        server.close()
