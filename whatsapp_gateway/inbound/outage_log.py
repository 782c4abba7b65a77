"""Logs an outage: one line when it begins and one when it ends, however many webhooks fail."""

import logging
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

QUIET_SECONDS: Final = 5.0
"""An outage is over after this time without a failure, so an intermittent outage counts as one."""


class OutageLog:
    """The path from the webhook to the kernel service. now is a monotonic clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began = self._last = 0.0
        self.failures = 0
        """Webhooks that were not accepted in the current outage; 0: there is none."""

    def failed(self) -> None:
        """A webhook was answered 503: WhatsApp redelivers it."""
        self._last = self._now()
        if not self.failures:
            self._began = self._last
            logger.warning(
                "webhooks are answered 503, and will be redelivered: the kernel service does not accept all of them"
            )
        self.failures += 1

    def passed(self) -> None:
        """A webhook was accepted completely."""
        if self.failures and self._now() - self._last >= QUIET_SECONDS:
            lasted = self._last - self._began
            logger.warning("webhooks are accepted again: %d were answered 503 within %.0f s", self.failures, lasted)
            self.failures = 0
