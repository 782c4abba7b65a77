"""`python -m benchmarks.profiling <file> <module>`: runs a service and notes the CPU time of each step of its loop.

A step is one run of a task up to its next wait, or one callback. In the kernel service the units of the writer's thread
are noted, too. At SIGUSR1 the process writes the notes since the last signal to the file, as JSON, and drops them.
The loop is asyncio's own: uvloop has no place to look from.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import runpy
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BATCH = "kernel_service.storage.engine.batch"


class Notes:
    """The seconds of CPU time and the number of steps, by name."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._noted: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0])

    def add(self, name: str, seconds: float) -> None:
        noted = self._noted[name]
        noted[0] += seconds
        noted[1] += 1

    def write(self) -> None:
        noted, self._noted = self._noted, defaultdict(lambda: [0.0, 0])
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(noted))
        partial.replace(self._file)


def _note_steps(notes: Notes) -> None:
    def run(handle: Any) -> None:
        name = _name(handle._callback)  # noqa: SLF001 - nothing public shows the steps
        began = time.thread_time()
        own_run(handle)
        notes.add(name, time.thread_time() - began)

    handles: Any = asyncio.Handle
    own_run = handles._run  # noqa: SLF001 - as above
    handles._run = run  # noqa: SLF001 - as above
    loops: Any = uvloop
    loops.run = asyncio.run


def _name(callback: Any) -> str:
    """Of a task its coroutine's name, of a callback its own; that of a transport names its protocol."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return f"task {getattr(owner.get_coro(), '__qualname__', '')}"
    name = str(getattr(callback, "__qualname__", type(callback).__qualname__))
    if isinstance(owner, asyncio.Transport):
        name += f" for {type(owner.get_protocol()).__name__}"
    return name


def _note_units(notes: Notes) -> None:
    batch: Any = importlib.import_module(_BATCH)
    commit = batch.commit

    def noted(works: Sequence[Any], connection: Any) -> Any:
        in_units = [0.0]
        for work in works:
            work.unit = _timed(work.unit, notes, in_units)
        began = time.thread_time()
        try:
            return commit(works, connection)
        finally:
            notes.add("begin and commit", time.thread_time() - began - in_units[0])

    batch.commit = noted


def _timed(unit: Callable[[Any], Any], notes: Notes, in_units: list[float]) -> Callable[[Any], Any]:
    called = [cell.cell_contents for cell in unit.__closure__ or ()]  # the method that a decorator wraps
    name = next((each.__qualname__ for each in called if hasattr(each, "__qualname__")), unit.__qualname__)

    def timed(tx: Any) -> Any:
        began = time.thread_time()
        try:
            return unit(tx)
        finally:
            seconds = time.thread_time() - began
            in_units[0] += seconds
            notes.add(f"unit {name}", seconds)

    return timed


def main() -> None:
    file, module = sys.argv[1:]
    notes = Notes(Path(file))
    signal.signal(signal.SIGUSR1, lambda *_: notes.write())
    _note_steps(notes)
    if module == "kernel_service":
        _note_units(notes)
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
