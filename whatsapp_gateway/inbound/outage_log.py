"""An outage in the log: a line when it begins and one when it is over, however many webhooks it meets."""

import logging
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

QUIET_SECONDS: Final = 5.0
"""Without a failure, before an outage counts as over: one that comes and goes is one."""


class OutageLog:
    """Of the way from the webhook to the kernel service. now is a monotonic clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began = self._last = 0.0
        self._failures = 0

    def failed(self) -> None:
        """A webhook was answered 503: WhatsApp brings it again."""
        self._last = self._now()
        if not self._failures:
            self._began = self._last
            logger.warning("webhooks are answered 503, and come again: the kernel service does not take all of them")
        self._failures += 1

    def passed(self) -> None:
        """A webhook was taken whole."""
        if self._failures and self._now() - self._last >= QUIET_SECONDS:
            lasted = self._last - self._began
            logger.warning("webhooks are taken again: %d were answered 503 within %.0f s", self._failures, lasted)
            self._failures = 0
