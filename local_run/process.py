"""A child process. Its output is printed under its name, and its URL says when it is ready."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import aiohttp

from local_run.lifeline import END_SECONDS
from local_run.output import say
from local_run.plan import Service

_READY_SECONDS = 120
_PAUSE_SECONDS = 0.1
_LONGEST_LINE = 2**20


class Process:
    """`ended` resolves to the exit code once the process has ended for any reason but restart_killed()."""

    def __init__(self, service: Service, child: asyncio.subprocess.Process) -> None:
        self.name = service.module
        self._service = service
        self._child = child
        self._ending = False
        self._restarted: asyncio.Event | None = None
        self.ended = asyncio.create_task(self._watch())

    @classmethod
    async def start(
        cls, service: Service, more: dict[str, str] | None = None, inherited: Sequence[int] = ()
    ) -> "Process":
        """`more` settings and the `inherited` file descriptors are those of the first start only."""
        return cls(service, await _spawned(service, more or {}, inherited))

    async def ready(self, session: aiohttp.ClientSession) -> None:
        """Return when the process is ready; TimeoutError after two minutes."""
        async with asyncio.timeout(_READY_SECONDS):
            while not await self._answers(session):  # noqa: ASYNC110 - another process sets no event here
                await asyncio.sleep(_PAUSE_SECONDS)

    async def restart_killed(self) -> None:
        """Kill it as a crash does, and return once another process has started instead, or it is to end."""
        self._restarted = asyncio.Event()
        with suppress(ProcessLookupError):
            self._child.kill()
        restarted = asyncio.create_task(self._restarted.wait())
        await asyncio.wait([restarted, self.ended], return_when=asyncio.FIRST_COMPLETED)
        restarted.cancel()

    async def end(self) -> None:
        """Ask it to end, and kill it if it does not end within half a minute."""
        self._ending = True
        with suppress(ProcessLookupError):
            self._child.terminate()
        _, late = await asyncio.wait([self.ended], timeout=END_SECONDS)
        if late:
            say(f"{self.name} did not end within {END_SECONDS} seconds and is killed.")
            self._child.kill()
            await self.ended

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(self._service.ready_url) as response:
                return response.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _watch(self) -> int:
        while True:
            code = await self._pass_on()
            # One that exits by itself just before a kill is not restarted: its own code says why.
            if self._restarted is None or code != -signal.SIGKILL or self._ending:
                return code
            self._child = await _spawned(self._service, {}, ())
            if self._ending:
                self._child.terminate()
            self._restarted.set()
            self._restarted = None

    async def _pass_on(self) -> int:
        async for line in cast("asyncio.StreamReader", self._child.stdout):
            say(f"{self.name:<16} | {line.decode(errors='replace').rstrip()}")
        return await self._child.wait()


async def _spawned(service: Service, more: dict[str, str], inherited: Sequence[int]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "local_run.lifeline",
        service.module,
        env=service.environment | {"PYTHONUNBUFFERED": "1"} | more,
        stdin=asyncio.subprocess.PIPE,  # the lifeline
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=_LONGEST_LINE,
        pass_fds=inherited,
        # Ctrl-C reaches only the parent, which ends the children in order.
        process_group=0,
    )
