"""Repeats of a call, by the contract's own table."""

import asyncio
import logging
import random
from typing import Final

from kernel_client.errors import KernelError

logger = logging.getLogger("kernel_client")

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
LONGEST_CALL: Final = 86_400.0
"""gRPC has no endless deadline."""


class Repeats:
    """The attempts of one call, which end `timeout` seconds from now. Each problem is logged once."""

    def __init__(self, timeout: float) -> None:
        self._ends = asyncio.get_running_loop().time() + min(timeout, LONGEST_CALL)
        self._longest = FIRST_PAUSE
        self._logged = ""

    @property
    def left(self) -> float:
        """The seconds that remain."""
        return max(0.0, self._ends - asyncio.get_running_loop().time())

    async def pause_after(self, error: KernelError) -> None:
        """Wait before the next attempt. Raises the error if a repeat would not help, or no time remains for one."""
        wait = max(random.uniform(0, self._longest), error.retry_after)  # noqa: S311 - no secret
        if not error.retryable or wait >= self.left:
            raise error
        if error.reason != self._logged:
            self._logged = error.reason
            logger.warning("repeating a call for %d s at most: %s", self.left, error)
        self._longest = min(LONGEST_PAUSE, self._longest * 2)
        await asyncio.sleep(wait)
