"""Watches links that were given out until their accounts are connected or their time is over."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kernel_service.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kernel_service.tools.connections import Connection

log = logging.getLogger(__name__)

CONSENT_GRACE = 300.0
"""Seconds after a link's end during which a consent begun in time may still arrive."""
FIRST_WAIT = 2.0
LONGEST_WAIT = 15.0


class LinkWatcher:
    """There is no event for "connected" at Composio, so it is asked: after 2, 4, 8 … and then every 15 seconds.

    `check` asks once, and tells whether the connection is settled.
    """

    def __init__(
        self,
        check: Callable[[Connection], Awaitable[bool]],
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._check = check
        self._clock = clock
        self._sleep = sleep
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, connection: Connection) -> None:
        task = asyncio.create_task(self._watch(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, connection: Connection) -> None:
        wait = FIRST_WAIT
        while self._clock() <= connection.link_expires_at + CONSENT_GRACE:
            await self._sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
            try:
                if await self._check(connection):
                    return
            except KernelError as error:
                log.info("link not looked at connection=%s reason=%s", connection.id, error.reason)
            except Exception:
                log.exception("link watcher stopped connection=%s", connection.id)
                return
