"""The effect log: what really happened at the vendors, in order. Tests take it as their judge."""

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
    """One thing that a vendor did for somebody.

    kind is for instance model_call, tool_execution, graph_send; person is the vendor's own id of whom it
    concerned; key names the thing (a request, a tool, a message); detail holds whatever else tells it apart.
    """

    number: int
    at: float
    kind: str
    person: str
    key: str
    detail: dict[str, Any]


class Effects:
    """Append-only; numbers begin at 1 and go on where a log file ended."""

    def __init__(self, *, clock: Callable[[], float] = time.time, file: Path | None = None) -> None:
        self._clock = clock
        self._effects: list[Effect] = []
        self._waiting: dict[asyncio.Future[Effect], Callable[[Effect], bool]] = {}
        self._file = None
        if file is not None:
            make_folder(file.parent)
            make_file(file)
            close_folder(file.parent)
            close_file(file)
            self._effects = _read(file)
            # Unbuffered: a record has reached the system when record() returns, whatever kills this process.
            self._file = file.open("ab", buffering=0)

    def record(self, kind: str, *, person: str = "", key: str = "", **detail: Any) -> Effect:
        effect = Effect(len(self._effects) + 1, self._clock(), kind, person, key, detail)
        self._effects.append(effect)
        if self._file is not None:
            self._file.write(orjson.dumps(asdict(effect)) + b"\n")
        for waiter, wanted in list(self._waiting.items()):
            if not waiter.done() and wanted(effect):
                waiter.set_result(effect)
        return effect

    def all(self, kind: str | None = None, *, person: str | None = None, after: int = 0) -> list[Effect]:
        """The effects numbered above after, oldest first."""
        return [
            effect
            for effect in self._effects[after:]
            if kind in (None, effect.kind) and person in (None, effect.person)
        ]

    async def wait_for(self, wanted: Callable[[Effect], bool], timeout: float = 30, *, after: int = 0) -> Effect:
        """The first effect numbered above after that is wanted, at once if it is there already.

        Raises TimeoutError after timeout seconds.
        """
        for effect in self._effects[after:]:
            if wanted(effect):
                return effect
        waiter: asyncio.Future[Effect] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = wanted
        try:
            return await asyncio.wait_for(waiter, timeout)
        finally:
            del self._waiting[waiter]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _read(file: Path) -> list[Effect]:
    """A last line that a kill cut short never counted: it is cut away, so that numbering stays whole."""
    if not file.exists():
        return []
    whole, _, torn = file.read_bytes().rpartition(b"\n")
    if torn:
        file.write_bytes(whole + b"\n" if whole else b"")
    return [Effect(**orjson.loads(line)) for line in whole.splitlines()]
