"""Scheduled wakeups: a debounce, a hold, a retry."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class WakeupTimers:
    """One timer per person, the earliest that was set. `clock` returns epoch seconds."""

    def __init__(self, wake: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._wake = wake
        self._clock = clock
        self._timers: dict[str, tuple[float, asyncio.TimerHandle]] = {}
        self._closed = False

    def set(self, person_id: str, when: float) -> None:
        """Wake the person at `when` (epoch seconds), unless an earlier timer does."""
        if self._closed:
            return
        if person_id in self._timers:
            earlier, _ = self._timers[person_id]
            if earlier <= when:
                return
            self.drop(person_id)
        delay = max(0.0, when - self._clock())
        handle = asyncio.get_running_loop().call_later(delay, self._ring, person_id)
        self._timers[person_id] = (when, handle)

    def drop(self, person_id: str) -> None:
        """Cancel the person's timer, if there is one."""
        if (timer := self._timers.pop(person_id, None)) is not None:
            _, handle = timer
            handle.cancel()

    def _ring(self, person_id: str) -> None:
        del self._timers[person_id]
        self._wake(person_id)

    def __len__(self) -> int:
        return len(self._timers)

    def close(self) -> None:
        """Cancel all timers, and accept no new ones."""
        self._closed = True
        for _, handle in self._timers.values():
            handle.cancel()
        self._timers.clear()
