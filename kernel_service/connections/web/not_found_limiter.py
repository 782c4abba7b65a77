"""The rate limit of requests for pages that do not exist."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_FOUND_PER_SECOND: Final = 5
"""Requests of all clients for pages that do not exist: a mistyped link, one of an earlier release. Those beyond are
refused by their first line, since a flood would slow down the process in which the turns run."""
BURST: Final = 20


class NotFoundLimiter:
    """A token bucket for requests that end in 404. Requests for pages that exist cost nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock()
        self._left = float(BURST)

    def admits(self) -> bool:
        now = self._clock()
        self._left = min(BURST, self._left + (now - self._at) * NOT_FOUND_PER_SECOND)
        self._at = now
        return self._left >= 1

    def count(self) -> None:
        self._left -= 1
