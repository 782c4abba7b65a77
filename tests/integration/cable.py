"""A TCP relay between two ends, which can be cut while both run."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress


class Cable:
    """Forwards from `address` to ports of this machine, each connection to the next one, as a load balancer does."""

    def __init__(self, *to_ports: int) -> None:
        self.to_ports = deque(to_ports)
        self._writers: set[asyncio.StreamWriter] = set()
        self._forwarding: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    async def plug_in(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Reset every connection. New ones are possible at once."""
        for writer in self._writers:
            writer.transport.abort()

    def go_silent(self) -> None:
        """Let nothing pass, and tell neither end, as in front of a frozen process."""
        self._flows.clear()

    def speak(self) -> None:
        """Let everything pass again, also what was held back."""
        self._flows.set()

    async def unplug(self) -> None:
        self._server.close()
        self.speak()
        self.cut()
        await asyncio.gather(*self._forwarding)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.to_ports[0])
        except OSError:  # nothing listens there yet, or any longer
            writer.transport.abort()
            return
        self.to_ports.rotate(-1)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            self._writers.add(sink)
            task = asyncio.create_task(self._forward(source, sink))
            self._forwarding.add(task)
            task.add_done_callback(self._forwarding.discard)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        sink.close()
        self._writers.discard(sink)
