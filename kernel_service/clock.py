"""The one clock of the service: epoch seconds that never run backwards, whatever is done to the machine's clock.

Everything durable compares epoch seconds. A clock that was set back would have leases, back-offs and holds wait for
an hour that has been already, and order what comes after before what was.
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
"""How far the store's newest time may lead the machine's clock at the start: further, and it was a wrong clock's."""
_JUMP_SECONDS = 1.0


class SteadyClock:
    """Follows the wall clock, forwards at once; after a jump back it runs on, slowed until the wall clock is there."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        newest: float = 0.0,
    ) -> None:
        """`newest`: the newest time that is known to have been, from before a restart."""
        self._wall = wall
        self._monotonic = monotonic
        self._wall_was, self._monotonic_was = wall(), monotonic()
        self._now = max(self._wall_was, min(newest, self._wall_was + MOST_AHEAD_SECONDS))
        if self._now > self._wall_was + _JUMP_SECONDS:
            log.warning("the machine's clock is %.0f s behind what is stored: slowed", self._now - self._wall_was)

    def __call__(self) -> float:
        wall, monotonic = self._wall(), self._monotonic()
        passed = monotonic - self._monotonic_was
        set_back = self._wall_was + passed - wall
        self._wall_was, self._monotonic_was = wall, monotonic
        self._now = max(wall, self._now + SLOWED * passed)
        if set_back > _JUMP_SECONDS:
            log.warning("the machine's clock was set back by %.0f s: slowed until it is there again", set_back)
        return self._now


DAY_SECONDS: Final = 86_400
