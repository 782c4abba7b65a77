"""Detects that this process was suspended: by SIGSTOP, with its machine, or by a blocked event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

BEAT_SECONDS: Final = 1.0
STOPPED_SECONDS: Final = 5.0
"""After this time without a heartbeat the process counts as suspended."""


class StallDetector:
    """Beats while run() runs. now is a monotonic clock, which continues while the process is suspended."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._beat_at = now()
        self._resumed_at = self._beat_at
        self._interrupted: set[asyncio.Timeout] = set()

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            self.last_resumed()
            await asyncio.sleep(BEAT_SECONDS)

    def last_resumed(self) -> float:
        """When the process resumed after its last suspension; if it never was suspended, the time of its start.

        It may have resumed just now, with this call as its first step: so each call is a heartbeat, too.
        """
        now = self._now()
        if now - self._beat_at > STOPPED_SECONDS:
            self._resumed_at = now
            for each in self._interrupted:
                if not each.expired():
                    each.reschedule(asyncio.get_running_loop().time())
        self._beat_at = now
        return self._resumed_at

    @asynccontextmanager
    async def interrupts(self) -> AsyncIterator[None]:
        """Cancel what runs inside, and raise `TimeoutError`, once this process resumed after a suspension."""
        async with asyncio.timeout(None) as interrupted:
            self._interrupted.add(interrupted)
            try:
                yield
            finally:
                self._interrupted.discard(interrupted)
