"""Notices that this process was stopped for a while: by SIGSTOP, with its machine, or by an event loop held up."""

import asyncio
from collections.abc import Callable
from typing import Final

BEAT_SECONDS: Final = 1.0
STOPPED_SECONDS: Final = 5.0
"""Without a beat for so long it was stopped."""


class StallDetector:
    """Beats while `run` runs. now is a monotonic clock: it goes on while the process is stopped."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._beat_at = now()
        self._woke_at = self._beat_at

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            self._beat()
            await asyncio.sleep(BEAT_SECONDS)

    def stopped_since(self, moment: float) -> bool:
        """Whether it was stopped at any time after that moment."""
        self._beat()  # it may have woken just now, and this be the first to run
        return self._woke_at > moment

    def _beat(self) -> None:
        now = self._now()
        if now - self._beat_at > STOPPED_SECONDS:
            self._woke_at = now
        self._beat_at = now
