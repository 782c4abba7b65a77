"""Faults that a test injects into a vendor: refusals, invalid answers, dropped connections, held calls."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Call:
    """One received request. `path` is below the vendor's base; `person` is the vendor's id of its user."""

    method: str
    path: str
    body: Any
    person: str
    headers: dict[str, str] = field(default_factory=dict)


Match = Callable[[Call], bool]


def every(_: Call) -> bool:
    return True


def matching(*, path: str = "", person: str = "", text: str = "") -> Match:
    """A match that JSON can express: substrings of the path and of the body's texts, the exact person; empty: any."""

    def match(call: Call) -> bool:
        return path in call.path and person in ("", call.person) and (not text or text in str(call.body))

    return match


@dataclass(slots=True)
class Fault:
    """The answer to give instead: a status (0: drop the connection) and a body (None: the vendor's own error)."""

    status: int
    times: int
    match: Match
    retry_after: float | str | None = None
    """Seconds, or the header's own text, as a date."""
    body: str | None = None

    def headers(self) -> dict[str, str]:
        """Those of the answer."""
        told = self.retry_after
        return {} if told is None else {"Retry-After": told if isinstance(told, str) else f"{told:g}"}


class Hold:
    """Keeps matching calls waiting. The first call to arrive sets `reached`; release() lets all continue."""

    def __init__(self, match: Match) -> None:
        self.match = match
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    def release(self) -> None:
        self.released.set()


class Faults:
    """The faults of one vendor, used in the order in which they were added. Holds apply before failures.

    Each call is delayed by a random time between `least_slowness` and `slowness`, in seconds.
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
        retry_after: float | str | None = None,
        body: str | None = None,
        match: Match = every,
    ) -> None:
        """Answer the next `times` matching calls with `status`; 0 drops the connection instead."""
        self._faults.append(Fault(status, times, match, retry_after, body))

    def hold(self, match: Match = every) -> Hold:
        hold = Hold(match)
        self._holds.append(hold)
        return hold

    def clear(self) -> None:
        """Remove all faults and release all held calls."""
        self.slowness = self.least_slowness = 0.0
        self._faults.clear()
        for hold in self._holds:
            hold.release()
        self._holds.clear()

    async def pass_through(self, call: Call) -> Fault | None:
        """Apply delays and holds; then return the fault for this call, if any."""
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
    """Abort the connection. The returned response is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
