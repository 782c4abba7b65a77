"""The effect log: what really happened at the vendors, in order. Tests assert against it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from serving.private_files import close_file, close_folder, make_file, make_folder


@dataclass(frozen=True, slots=True)
class Effect:
    """One action of a vendor.

    `kind` is for instance model_call, tool_execution or graph_send. `person` is the vendor's id of the person
    concerned. `key` identifies the object (a request, a tool, a message). `detail` holds any further attributes.
    """

    number: int
    at: float
    kind: str
    person: str
    key: str
    detail: dict[str, Any]


class Effects:
    """An append-only log. Numbers begin at 1, and continue after those of an existing log file."""

    def __init__(self, *, clock: Callable[[], float] = time.time, file: Path | None = None) -> None:
        self._clock = clock
        self._effects: list[Effect] = []
        self._waiting: dict[asyncio.Future[Effect], Callable[[Effect], bool]] = {}
        self.recorded: Callable[[Effect], None] = lambda _: None
        """Called after each record."""
        self._file = None
        if file is not None:
            make_folder(file.parent)
            make_file(file)
            close_folder(file.parent)
            close_file(file)
            self._effects = _read(file)
            # Unbuffered: after record() returns, the operating system has the record, and a kill cannot lose it.
            self._file = file.open("ab", buffering=0)

    def record(self, kind: str, *, person: str = "", key: str = "", **detail: Any) -> Effect:
        effect = Effect(len(self._effects) + 1, self._clock(), kind, person, key, detail)
        self._effects.append(effect)
        if self._file is not None:
            self._file.write(orjson.dumps(asdict(effect)) + b"\n")
        for waiter, wanted in list(self._waiting.items()):
            if not waiter.done() and wanted(effect):
                waiter.set_result(effect)
        self.recorded(effect)
        return effect

    def all(self, kind: str | None = None, *, person: str | None = None, after: int = 0) -> list[Effect]:
        """The effects numbered above `after`, oldest first."""
        return [
            effect
            for effect in self._effects[after:]
            if kind in (None, effect.kind) and person in (None, effect.person)
        ]

    async def wait_for(self, wanted: Callable[[Effect], bool], timeout: float = 30, *, after: int = 0) -> Effect:
        """The first wanted effect numbered above `after`; returns at once if it exists already.

        Raises TimeoutError after `timeout` seconds.
        """
        for effect in self._effects[after:]:
            if wanted(effect):
                return effect
        waiter: asyncio.Future[Effect] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = wanted
        try:
            async with asyncio.timeout(timeout):
                return await waiter
        finally:
            del self._waiting[waiter]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _read(file: Path) -> list[Effect]:
    """Read a log file. A last line that a kill cut short is removed, so that the numbers stay consecutive."""
    if not file.exists():
        return []
    whole, _, torn = file.read_bytes().rpartition(b"\n")
    if torn:
        file.write_bytes(whole + b"\n" if whole else b"")
    return [Effect(**orjson.loads(line)) for line in whole.splitlines()]
