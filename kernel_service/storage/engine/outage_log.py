"""Logs the beginning and the end of an outage instead of each failure in it."""

from __future__ import annotations

import logging
import math
import time

logger = logging.getLogger("kernel_service.storage")

now = time.monotonic


class OutageLog:
    """For one operation that may fail, such as `write to the database`, and that several tasks may attempt at once."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._ended = -math.inf
        self.lasts = False
        self.count = 0
        """Outages so far."""

    def failed(self, why: str, began: float = math.inf) -> None:
        """An attempt failed that began at this time of `now`, or just now. `why` holds no statement and no value.

        An attempt from before the end of an outage belongs to that outage: its connection broke with the others.
        """
        if not self.lasts and began >= self._ended:
            self.lasts = True
            self.count += 1
            logger.warning("storage: cannot %s (%s); retrying until it succeeds", self._what, why)

    def succeeded(self) -> None:
        """The operation succeeded."""
        if self.lasts:
            self.lasts = False
            self._ended = now()
            logger.warning("storage: can %s again", self._what)
