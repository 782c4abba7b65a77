"""Detects from heartbeats, one each second, that a process or an event loop hangs."""

from __future__ import annotations

from typing import Final

HUNG: Final = 70
"""The exit code of a process that had to be ended: EX_SOFTWARE."""
BEAT_SECONDS: Final = 1.0
_STALL_SECONDS: Final = 2.0


class Beats:
    """The heartbeats of one process or event loop. Times are seconds of a monotonic clock."""

    def __init__(self, seconds: float, now: float) -> None:
        self.seconds = seconds
        self._beaten = self._looked = self._awake_since = now

    def beat(self, now: float) -> None:
        self._beaten = now

    def missing(self, now: float) -> bool:
        """Whether no heartbeat has come for longer than `seconds`. Call it each second.

        A late call means that the caller itself did not run (a stopped process, a suspended machine) and could not
        see heartbeats meanwhile. The period then starts again.
        """
        if now - self._looked > BEAT_SECONDS + _STALL_SECONDS:
            self._awake_since = now
        self._looked = now
        return now - max(self._beaten, self._awake_since) > self.seconds
