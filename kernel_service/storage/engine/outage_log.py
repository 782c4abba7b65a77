"""Logs the beginning and the end of an outage instead of each failure in it."""

from __future__ import annotations

import logging

logger = logging.getLogger("kernel_service.storage")


class OutageLog:
    """For one operation that may fail, such as `write to the database`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.lasts = False
        self.count = 0
        """Outages so far."""

    def met(self, why: str) -> None:
        """The operation failed. `why` holds no statement and no value."""
        if not self.lasts:
            self.lasts = True
            self.count += 1
            logger.warning("storage: cannot %s (%s); retrying until it succeeds", self._what, why)

    def over(self) -> None:
        """The operation succeeded."""
        if self.lasts:
            self.lasts = False
            logger.warning("storage: can %s again", self._what)
