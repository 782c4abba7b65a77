"""An event loop's clock and timers, moved by hand."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer:
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Timeline:
    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, int, Timer, Callable[[], None]]] = []
        self._numbers = count()

    def time(self) -> float:
        return self.now

    @property
    def timers(self) -> int:
        return len(self._timers)

    def call_at(self, when: float, callback: Callable[[], None], /) -> Any:
        timer = Timer()
        heapq.heappush(self._timers, (when, next(self._numbers), timer, callback))
        return timer

    async def pass_time(self, seconds: float) -> None:
        """Fire each timer at its time, and let the woken tasks continue."""
        until = self.now + seconds
        await settle()
        while self._timers and self._timers[0][0] <= until:
            when, _, timer, callback = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            if not timer.cancelled:
                callback()
                await settle()
        self.now = until


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
