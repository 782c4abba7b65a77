"""The only clock of the service: epoch seconds that never run backwards, even if the machine's clock is set back.

All durable times are epoch seconds. After a step back of an hour, leases, back-offs and holds would wait an hour too
long, and later events would sort before earlier ones.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

SLOWED = 0.8
"""The rate at which time passes while the machine's clock is behind: an hour is caught up in five."""
MOST_AHEAD_SECONDS = 2 * 24 * 3600.0
"""The most by which the store's newest time may lead the machine's clock at the start. A later time is ignored."""
_JUMP_SECONDS = 1.0


class SteadyClock:
    """Follows the wall clock forwards at once. After a jump back it runs slower until the wall clock catches up."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        newest: float = 0.0,
    ) -> None:
        """`newest`: the newest known time from before a restart."""
        self._wall = wall
        self._monotonic = monotonic
        self._wall_was, self._monotonic_was = wall(), monotonic()
        self._now = max(self._wall_was, min(newest, self._wall_was + MOST_AHEAD_SECONDS))
        if self._now > self._wall_was + _JUMP_SECONDS:
            log.warning(
                "the machine's clock is %.0f s behind the newest stored time: time runs slower",
                self._now - self._wall_was,
            )

    def __call__(self) -> float:
        wall, monotonic = self._wall(), self._monotonic()
        passed = monotonic - self._monotonic_was
        set_back = self._wall_was + passed - wall
        self._wall_was, self._monotonic_was = wall, monotonic
        self._now = max(wall, self._now + SLOWED * passed)
        if set_back > _JUMP_SECONDS:
            log.warning("the machine's clock was set back by %.0f s: time runs slower until it catches up", set_back)
        return self._now


_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def since_boot() -> float:
    """Steady seconds that also pass while the machine sleeps. On Linux `time.monotonic` stops then.

    https://man7.org/linux/man-pages/man2/clock_gettime.2.html
    """
    return time.clock_gettime(_SINCE_BOOT)


DAY_SECONDS: Final = 86_400
