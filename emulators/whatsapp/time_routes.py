"""The page's clock, and the buttons that let time pass."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from emulators.passing_time import PassingTime
from emulators.whatsapp.feed import Feed
from emulators.whatsapp.page_bodies import number_in, posted


class TimeRoutes:
    """`POST /phones/time` with {seconds}, or with {until} in epoch seconds. Publishes a `time` event each time."""

    def __init__(self, time: PassingTime | None, now: Callable[[], float], feed: Feed) -> None:
        self._time = time
        self._now = now
        self._feed = feed
        if time is not None:
            time.told = lambda: feed.publish("time", self.state)

    @property
    def state(self) -> dict[str, Any]:
        """{now, ahead, passes}: epoch seconds, seconds ahead of the real time, and whether time can be let pass."""
        return {
            "now": self._now(),
            "ahead": self._time.ahead if self._time else 0.0,
            "passes": self._time is not None,
        }

    def mount(self, app: web.Application) -> None:
        app.router.add_post("/phones/time", self._pass)

    async def _pass(self, request: web.Request) -> web.Response:
        body = await posted(request)
        if self._time is None:
            raise web.HTTPConflict(text="the kernel service follows no emulated clock: see KERNEL_EMULATED_CLOCK")
        try:
            if "until" in body:
                await self._time.pass_until(number_in(body, "until"))
            else:
                await self._time.pass_seconds(number_in(body, "seconds"))
        except ValueError as problem:
            raise web.HTTPBadRequest(text=str(problem)) from None
        return web.json_response(self.state)
