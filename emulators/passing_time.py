"""Lets the emulated time pass while nothing is on its way: a day within a call would end what the caller waits for."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from serving.emulated_clock import EmulatedClock

STILL_SECONDS: Final = 0.5
"""How long no call may have been in progress before time passes. The services need less between two calls."""
LONGEST_WAIT: Final = 20.0
"""Time passes after this many seconds even during a call: a message is on its way for 15 at most."""
MOST_AT_ONCE: Final = 366 * 86_400.0

_VENDORS: Final = ("/openai/", "/composio/api/", "/graph/")


class PassingTime:
    """`told` is called after each change. Changes are made one after the other.

    `middleware` sees the services' calls to the vendors.
    """

    def __init__(self, clock: EmulatedClock, now: Callable[[], float]) -> None:
        self.told: Callable[[], None] = lambda: None
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
            await self._wait_until_still()
            self._clock.advance(seconds)
        self.told()

    async def pass_until(self, at: float) -> None:
        """Until this time in epoch seconds, if it is not over. ValueError: too far at once."""
        await self.pass_seconds(max(0.0, at - self._now()))

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

    async def _wait_until_still(self) -> None:
        time = asyncio.get_running_loop().time
        latest = time() + LONGEST_WAIT
        while (since := self._still_since()) is None or time() < since + STILL_SECONDS:
            if time() >= latest:
                return
            await asyncio.sleep(STILL_SECONDS / 10)

    def _still_since(self) -> float | None:
        """None: a call is in progress."""
        return None if self._calls else self._last_ended_at
