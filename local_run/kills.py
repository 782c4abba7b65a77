"""Kills on request: the phones page has a button that kills a service, which then starts again.

The requests come over a socket that the emulators inherit. It has no address, so that no other process can ask.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress

import aiohttp

from local_run.output import say
from local_run.process import Process


class Kills:
    """Kills `processes` by name with SIGKILL.

    The emulators read a line of JSON for each event: {services: [name]} first, then {service, killed} or {service,
    seconds}, the time until it was ready again. They write {kill: name}. A service that is on its way back is not
    killed again.
    """

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = {process.name: process for process in processes}
        self._returning: dict[str, asyncio.Task[None]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve until the emulators end. The caller closes the writer."""
        _tell(writer, {"services": list(self._processes)})
        try:
            async for line in reader:
                process = self._processes.get(_wanted(line))
                if process is not None and process.name not in self._returning:
                    returning = asyncio.create_task(self._kill(process, writer))
                    self._returning[process.name] = returning
        finally:
            for returning in self._returning.values():
                returning.cancel()

    async def _kill(self, process: Process, writer: asyncio.StreamWriter) -> None:
        try:
            say(f"{process.name} is killed on request and starts again.")
            _tell(writer, {"service": process.name, "killed": True})
            began = time.monotonic()
            await process.restart_killed()
            async with aiohttp.ClientSession() as session:
                await process.ready(session)
            _tell(writer, {"service": process.name, "seconds": round(time.monotonic() - began, 1)})
        except TimeoutError:
            say(f"!!! {process.name} is still not ready; its lines above say why.")
        finally:
            del self._returning[process.name]


def _wanted(line: bytes) -> str:
    with suppress(ValueError):
        asked = json.loads(line)
        if isinstance(asked, dict):
            return str(asked.get("kill", ""))
    return ""


def _tell(writer: asyncio.StreamWriter, event: dict[str, object]) -> None:
    writer.write(json.dumps(event).encode() + b"\n")
