"""A child process. Its output is printed under its name, and its URL says when it is ready."""

import asyncio
import sys
from contextlib import suppress
from typing import cast

import aiohttp

from local_run.plan import Service

_READY_SECONDS = 120
_END_SECONDS = 30
_PAUSE_SECONDS = 0.1
_LONGEST_LINE = 2**20


class Process:
    """`ended` resolves to the exit code once the process has ended, for any reason."""

    def __init__(self, service: Service, child: asyncio.subprocess.Process) -> None:
        self.name = service.module
        self._ready_url = service.ready_url
        self._child = child
        self.ended = asyncio.create_task(self._pass_on())

    @classmethod
    async def start(cls, service: Service) -> "Process":
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            service.module,
            env=service.environment | {"PYTHONUNBUFFERED": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LONGEST_LINE,
            # Ctrl-C reaches only the parent, which ends the children in order.
            process_group=0,
        )
        return cls(service, child)

    async def ready(self, session: aiohttp.ClientSession) -> None:
        """Return when the process is ready; TimeoutError after two minutes."""
        async with asyncio.timeout(_READY_SECONDS):
            while not await self._answers(session):  # noqa: ASYNC110 - another process sets no event here
                await asyncio.sleep(_PAUSE_SECONDS)

    async def end(self) -> None:
        """Ask it to end, and kill it if it does not end within half a minute."""
        with suppress(ProcessLookupError):
            self._child.terminate()
        _, late = await asyncio.wait([self.ended], timeout=_END_SECONDS)
        if late:
            print(f"{self.name} did not end within {_END_SECONDS} seconds and is killed.")
            self._child.kill()
            await self.ended

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(self._ready_url) as response:
                return response.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _pass_on(self) -> int:
        async for line in cast("asyncio.StreamReader", self._child.stdout):
            print(f"{self.name:<16} | {line.decode(errors='replace').rstrip()}", flush=True)
        return await self._child.wait()
