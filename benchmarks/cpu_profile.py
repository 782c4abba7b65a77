"""`python -m benchmarks.cpu_profile`: prints which steps of the two services take the CPU time of a message.

The messages come at random times, 50 a second, so each step runs on caches as cold as under `make bench`. Two reads of
the clock around each step add about 1 µs. The rest of the CPU time of a process is the loop itself and other threads.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from benchmarks import load
from benchmarks.systems import pair

if TYPE_CHECKING:
    from benchmarks.processes import Process

PEOPLE: Final = 500
RATE: Final = 50.0
MESSAGES: Final = 500
LEAST_MICROSECONDS: Final = 5.0
"""For a message; steps that take less are left out."""
_WRITTEN_SECONDS: Final = 10.0


async def _profile(folder: Path) -> None:
    url = f"sqlite:///{folder}/kernel.db"
    async with pair(folder, url, people=PEOPLE, debounce=0.0, under="profiling") as system:
        await system.warm_up()
        for process in system.processes:
            await _steps(process, folder)
        before = [process.cpu_seconds() for process in system.processes]
        times = load.arrivals(RATE, MESSAGES, random.Random(0))
        _, requests = system.written_at(times)
        await load.opened(system.client, requests, times)
        await system.quiet()
        for process, seconds in zip(system.processes, before, strict=True):
            spent = process.cpu_seconds() - seconds
            _print(process.name, spent, await _steps(process, folder))


async def _steps(process: Process, folder: Path) -> dict[str, tuple[float, int]]:
    """The seconds and the number of the steps of each name since the last call."""
    file = folder / f"{process.name}.profiling"
    file.unlink(missing_ok=True)
    os.kill(process.pid, signal.SIGUSR1)
    async with asyncio.timeout(_WRITTEN_SECONDS):
        while not file.exists():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
    noted: dict[str, tuple[float, int]] = json.loads(file.read_bytes())
    return noted


def _print(name: str, seconds: float, steps: dict[str, tuple[float, int]]) -> None:
    print(f"{name}: {seconds / MESSAGES * 1e6:,.0f} µs of CPU for a message, of which")
    for step, (spent, number) in sorted(steps.items(), key=lambda each: -each[1][0]):
        microseconds = spent / MESSAGES * 1e6
        if microseconds >= LEAST_MICROSECONDS:
            print(f"{microseconds:7,.0f} µs in {number / MESSAGES:4.1f} × {step}")


if __name__ == "__main__":
    gc.disable()  # as in benchmarks.run
    with tempfile.TemporaryDirectory(prefix="profile-", ignore_cleanup_errors=True) as name:
        uvloop.run(_profile(Path(name)))
