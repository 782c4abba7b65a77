"""Lets the emulated time pass while nothing is on its way: a day within a call would end what the caller waits for."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from serving.emulated_clock import EmulatedClock

STILL_SECONDS: Final = 1.0
"""How long no call may have been in progress before time passes. The kernel service waits 0.6 for further messages."""
LONGEST_WAIT: Final = 20.0
"""Time passes after this many seconds even during a call: a message is on its way for 15 at most."""
MOST_AT_ONCE: Final = 366 * 86_400.0
MOST_STOPS: Final = 12
"""Time stops at this number of due schedules. It passes the rest at once, and the service runs what is late."""
RUN_SECONDS: Final = 5.0
"""How long a stop waits until the kernel service has begun what is due."""

_LOOK_SECONDS: Final = 0.05
_VENDORS: Final = ("/openai/", "/composio/api/", "/graph/")


class PassingTime:
    """Lets time pass from one due schedule to the next, so that none is late. Changes are made one after the other.

    `told` is called after each change. `next_due` returns the time of the next schedule that the page knows, in epoch
    seconds. `middleware` sees the services' calls to the vendors.
    """

    def __init__(self, clock: EmulatedClock, now: Callable[[], float]) -> None:
        self.told: Callable[[], None] = lambda: None
        self.next_due: Callable[[], float | None] = lambda: None
        self._clock = clock
        self._now = now
        self._calls = 0
        self._last_ended_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    @property
    def ahead(self) -> float:
        """Seconds that the emulated time is ahead of the real one."""
        return self._clock.ahead

    async def pass_seconds(self, seconds: float) -> None:
        """ValueError: not forward, or too far at once."""
        if not 0 <= seconds <= MOST_AT_ONCE:
            raise ValueError(f"seconds: must be from 0 to {MOST_AT_ONCE:.0f}")
        async with self._one_at_a_time:
            await self._pass(seconds)

    async def pass_until(self, at: float) -> None:
        """Until this time in epoch seconds, if it is not over. ValueError: too far at once."""
        await self.pass_seconds(max(0.0, at - self._now()))

    async def _pass(self, seconds: float) -> None:
        left = seconds
        for _ in range(MOST_STOPS):
            await _until(self._is_still, LONGEST_WAIT)
            due, now = self.next_due(), self._now()
            if due is None or not now < due < now + left:
                break
            left -= due - now
            self._advance(due - now)
            await _until(partial(self._has_begun, due), RUN_SECONDS)
        await _until(self._is_still, LONGEST_WAIT)
        self._advance(left)

    def _advance(self, seconds: float) -> None:
        self._clock.advance(seconds)
        self.told()

    def middleware(self) -> Middleware:
        @web.middleware
        async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not request.path.startswith(_VENDORS):
                return await handler(request)
            self._calls += 1
            try:
                return await handler(request)
            finally:
                self._calls -= 1
                self._last_ended_at = asyncio.get_running_loop().time()

        return count

    def _has_begun(self, due: float) -> bool:
        return self.next_due() != due

    def _is_still(self) -> bool:
        """Whether no call has been in progress for a while."""
        return not self._calls and asyncio.get_running_loop().time() >= self._last_ended_at + STILL_SECONDS


async def _until(condition: Callable[[], bool], most: float) -> None:
    """Return when it is true, or after `most` seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(most):
            while not condition():  # noqa: ASYNC110 - another process sets no event here
                await asyncio.sleep(_LOOK_SECONDS)
