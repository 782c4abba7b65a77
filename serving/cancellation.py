"""Ends tasks for certain, also if one of them misses its cancellation."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 2.0
"""Longer than a task needs to end. Its own steps at the end may be cut short by the second cancellation."""


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> list[Any]:
    """Cancel the tasks, and wait until all have ended. Returns the result or the exception of each, in their order.

    Code of others may lose a cancellation that arrives together with what it waits for, as `asyncio.wait_for` does
    before Python 3.12 (https://github.com/python/cpython/issues/86296). So a task that continues is cancelled again.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_SECONDS)
        for task in running:
            logger.warning("task %s continues after it was cancelled: cancelling it again", task.get_name())
    return await asyncio.gather(*tasks, return_exceptions=True)
