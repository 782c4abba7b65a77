"""A process of the product: started by its own main(), killed, frozen and resumed by its pid.

It is forked from a server that has already imported the product, so a start takes a third of a second instead of five.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp

from tests.crash.points import Doom, arm
from tests.crash.times import Times, set_clock, set_times

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

READY_SECONDS: Final = 60
_PAUSE_SECONDS: Final = 0.03

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["emulators.app", "kernel_service.app", "whatsapp_gateway.app"])

Settings = dict[str, str]


@dataclass(slots=True)
class Process:
    """`service` is the package whose main() runs. It is ready when `ready_url` answers 200. `log` gets its output.

    The wall clock of a kernel service is `ahead` seconds ahead.
    """

    service: str
    settings: Settings
    ready_url: str
    log: Path
    times: Times = field(default_factory=dict)
    ahead: float = 0.0
    _forked: ForkServerProcess | None = None

    @property
    def name(self) -> str:
        return self.log.stem

    @property
    def pid(self) -> int:
        pid = self._running.pid
        if not pid:
            raise RuntimeError(f"{self.service} has no pid")  # a signal to 0 would reach this whole process group
        return pid

    async def start(self, doom: Doom | None = None) -> None:
        """Start it. With a doom, it kills itself at that point."""
        arguments = (self.service, self.settings, str(self.log), _Fate(self.times, self.ahead, doom))
        self._forked = _FORKS.Process(target=_run, args=arguments, daemon=True)
        await asyncio.to_thread(self._forked.start)

    @property
    def begun(self) -> bool:
        return self._forked is not None

    async def ready(self) -> None:
        """Return once it serves. Raises TimeoutError, or RuntimeError if it has ended."""
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as http:
            while not await _answers(http, self.ready_url):
                if not self.alive:
                    raise RuntimeError(f"{self.service} ended before it was ready, see {self.log}")
                await asyncio.sleep(_PAUSE_SECONDS)

    @property
    def alive(self) -> bool:
        return self._forked is not None and self._forked.is_alive()

    async def kill(self) -> None:
        """Kill it (SIGKILL), frozen or not."""
        self._running.kill()
        await self.ended()

    async def end(self) -> None:
        """End it in order (SIGTERM), and wait for its end. Raises TimeoutError."""
        os.kill(self.pid, signal.SIGTERM)
        await self.ended()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def frozen(self) -> None:
        """Wait until it has frozen itself. Raises TimeoutError."""
        async with asyncio.timeout(READY_SECONDS):
            while _state(self.pid) != "T":
                await asyncio.sleep(_PAUSE_SECONDS)

    async def ends(self, seconds: float) -> None:
        """Wait for its end, for at most `seconds`."""
        await asyncio.to_thread(self._running.join, seconds)

    async def ended(self, timeout: float = 30) -> int:
        """Wait for its end and return the exit code, negative for a signal. Raises TimeoutError if it still runs."""
        await self.ends(timeout)
        code = self._running.exitcode
        if code is None:
            raise TimeoutError(f"{self.service} still runs after {timeout} s, see {self.log}")
        return code

    @property
    def _running(self) -> ForkServerProcess:
        if self._forked is None:
            raise RuntimeError(f"{self.service} was not started")
        return self._forked


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
            return answer.ok
    except (aiohttp.ClientError, TimeoutError):
        return False


def _state(pid: int) -> str:
    """The state as in proc(5). The name before it may contain spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@dataclass(frozen=True, slots=True)
class _Fate:
    times: Times
    ahead: float
    doom: Doom | None


def _run(service: str, settings: Settings, log: str, fate: _Fate) -> None:
    """Runs in the new process, which then is only the service."""
    _say_into(log)
    _end_with_parent()
    os.environ.clear()
    os.environ.update(settings)
    set_times(service, fate.times)
    if fate.ahead:
        set_clock(fate.ahead)
    if fate.doom is not None:
        arm(service, fate.doom)
    import_module(f"{service}.__main__").main()


def _say_into(log: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(file, stream)


def _end_with_parent() -> None:
    """End with the parent: it may be killed, too, and must not leave processes behind."""
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("not forked")

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end with parent").start()
