"""A process under load: started, waited for, its CPU time read from /proc, ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_READY_SECONDS = 60.0
_END_SECONDS = 30.0
_PAUSE_SECONDS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """`python -m <module> <arguments>` with these settings. Its output goes to a file."""

    def __init__(self, module: str, settings: Mapping[str, str], log: Path, *, arguments: Sequence[str] = ()) -> None:
        self._module, self._log = module, log
        self._command = [sys.executable, "-m", module, *arguments]
        self._environment = os.environ | dict(settings)
        self._url = ""
        self.name = arguments[-1] if arguments else module
        log.write_bytes(b"")
        self._child = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as told:
            return subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
            )

    async def replace(self) -> None:
        """End it in order, start it again, and return once it serves."""
        await self.end()
        self._child = self._started()
        await self.ready(self._url)

    async def ready(self, url: str) -> None:
        """Return once the URL answers 200. Raises TimeoutError, or RuntimeError with its last lines if it ended."""
        self._url = url
        async with asyncio.timeout(_READY_SECONDS), aiohttp.ClientSession() as session:
            while not await _answers(session, url):
                if self._child.poll() is not None:
                    raise RuntimeError(f"{self._module} ended:\n{self._log.read_text()[-2000:]}")
                await asyncio.sleep(_PAUSE_SECONDS)

    @property
    def pid(self) -> int:
        return self._child.pid

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far."""
        return cpu_seconds(self.pid)

    def cpu_parts(self) -> dict[str, float]:
        """The CPU time of its threads so far, by what they do."""
        parts: defaultdict[str, float] = defaultdict(float)
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # it ended
                parts[f"{self.name}: {_part(self.pid, thread)}"] += _cpu_seconds(thread / "stat")
        return parts

    async def end(self) -> None:
        self._child.terminate()
        try:
            await asyncio.to_thread(self._child.wait, _END_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()


def tree_cpu_seconds(pid: int) -> float:
    """User and system time so far of a process, its children, and those that it has waited for."""
    ended = sum(int(field) for field in _stat(Path(f"/proc/{pid}/stat"))[13:15]) / _TICKS
    running = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_seconds(pid) + ended + sum(_of_child(int(child)) for child in running)


def _of_child(pid: int) -> float:
    with suppress(FileNotFoundError, ProcessLookupError):
        return cpu_seconds(pid)
    return 0.0


def cpu_seconds(pid: int) -> float:
    return _cpu_seconds(Path(f"/proc/{pid}/stat"))


def _part(pid: int, thread: Path) -> str:
    """The C core names its threads. Those of Python have the name of the process."""
    if thread.name == str(pid):
        return "event loop"
    named = (thread / "comm").read_text() != Path(f"/proc/{pid}/comm").read_text()
    return "gRPC threads" if named else "database threads"


def _cpu_seconds(stat: Path) -> float:
    fields = _stat(stat)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _stat(stat: Path) -> list[str]:
    """The fields from the third on. The command's name may contain spaces, and ends with the last bracket: proc(5)."""
    return stat.read_text().rpartition(")")[2].split()


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.ok
    except (aiohttp.ClientError, TimeoutError):
        return False
