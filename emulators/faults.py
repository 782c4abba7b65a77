"""Faults that a test puts into a vendor: refusals, nonsense, dropped connections, held calls."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Call:
    """One request that came in. path is below the vendor's base; person is the vendor's id of its user."""

    method: str
    path: str
    body: Any
    person: str
    headers: dict[str, str] = field(default_factory=dict)


Match = Callable[[Call], bool]


def every(_: Call) -> bool:
    return True


def matching(*, path: str = "", person: str = "", text: str = "") -> Match:
    """A match that JSON can express: parts of path and of the body's texts, the exact person; empty: any."""

    def match(call: Call) -> bool:
        return path in call.path and person in ("", call.person) and (not text or text in str(call.body))

    return match


@dataclass(slots=True)
class Fault:
    """What to answer instead: status (0: drop the connection), a body (None: the vendor's own error)."""

    status: int
    times: int
    match: Match
    retry_after: float | None = None
    body: str | None = None


class Hold:
    """Keeps matching calls waiting. reached is set by the first to arrive; release() lets all go on."""

    def __init__(self, match: Match) -> None:
        self.match = match
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    def release(self) -> None:
        self.released.set()


class Faults:
    """The faults of one vendor, first come first served. Holds are passed before failures apply.

    Each call is delayed by a time drawn anew between `least_slowness` and `slowness`, in seconds.
    """

    def __init__(self) -> None:
        self.slowness = 0.0
        self.least_slowness = 0.0
        self._faults: list[Fault] = []
        self._holds: list[Hold] = []

    def fail(
        self,
        status: int = 500,
        times: int = 1,
        *,
        retry_after: float | None = None,
        body: str | None = None,
        match: Match = every,
    ) -> None:
        """Answer the next matching calls with status; 0 drops the connection instead."""
        self._faults.append(Fault(status, times, match, retry_after, body))

    def hold(self, match: Match = every) -> Hold:
        hold = Hold(match)
        self._holds.append(hold)
        return hold

    def clear(self) -> None:
        """Forget all faults and let go what is held."""
        self.slowness = self.least_slowness = 0.0
        self._faults.clear()
        for hold in self._holds:
            hold.release()
        self._holds.clear()

    async def pass_through(self, call: Call) -> Fault | None:
        """Wait while slow and while held; then the fault that this call meets, if any."""
        if self.slowness:
            await asyncio.sleep(random.uniform(self.least_slowness, self.slowness))
        for hold in list(self._holds):
            if not hold.released.is_set() and hold.match(call):
                hold.reached.set()
                await hold.released.wait()
        for fault in self._faults:
            if fault.times > 0 and fault.match(call):
                fault.times -= 1
                return fault
        return None


def drop(request: web.Request) -> web.Response:
    """Close the connection under the client's feet; the response that is returned never leaves."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
