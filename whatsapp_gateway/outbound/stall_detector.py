"""Detects that this process was stopped for a while: by SIGSTOP, with its machine, or by a blocked event loop."""

import asyncio
from collections.abc import Callable
from typing import Final

BEAT_SECONDS: Final = 1.0
STOPPED_SECONDS: Final = 5.0
"""After so long without a beat the process counts as stopped."""


class StallDetector:
    """Beats while run() runs. now is a monotonic clock, which goes on while the process is stopped."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._beat_at = now()
        self._resumed_at = self._beat_at

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            self._beat()
            await asyncio.sleep(BEAT_SECONDS)

    def stopped_since(self, moment: float) -> bool:
        """Whether it was stopped at any time after that moment."""
        self._beat()  # the process may have resumed just now, with this as its first step
        return self._resumed_at > moment

    def _beat(self) -> None:
        now = self._now()
        if now - self._beat_at > STOPPED_SECONDS:
            self._resumed_at = now
        self._beat_at = now
