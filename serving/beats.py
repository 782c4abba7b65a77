"""Who beats each second, and whether somebody has stopped."""

from __future__ import annotations

from typing import Final

HUNG: Final = 70
"""The exit code of a process that had to be ended: EX_SOFTWARE."""
BEAT_SECONDS: Final = 1.0
_STALL_SECONDS: Final = 2.0


class Beats:
    """Judges whether something that beats each second hangs. Times are a monotonic clock's seconds."""

    def __init__(self, seconds: float, now: float) -> None:
        self.seconds = seconds
        self._beaten = self._looked = self._awake_since = now

    def beat(self, now: float) -> None:
        self._beaten = now

    def missing(self, now: float) -> bool:
        """To be asked each second: who looks so late that it did not run itself (a stopped process, a suspended
        machine) has seen nothing meanwhile, and waits anew.
        """
        if now - self._looked > BEAT_SECONDS + _STALL_SECONDS:
            self._awake_since = now
        self._looked = now
        return now - max(self._beaten, self._awake_since) > self.seconds
