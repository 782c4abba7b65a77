"""`/control/<vendor>/…`: a vendor's test controls as JSON endpoints, for tests in other processes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from emulators.faults import Faults, Hold, Match, matching

Action = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None] | dict[str, Any] | None]


class Control:
    """The actions fail, hold, reached, release and slow for one vendor. add() adds further ones by name.

    With {after: true}, fail, hold and slow apply to a call that is executed but not yet answered.
    """

    def __init__(self, before: Faults, after: Faults) -> None:
        self._before = before
        self._after = after
        self._holds: list[Hold] = []
        self._actions: dict[str, Action] = {"fail": self._fail, "hold": self._hold, "slow": self._slow}
        self._actions |= {"reached": self._reached, "release": self._release}

    def add(self, name: str, action: Action) -> None:
        self._actions[name] = action

    def mount(self, app: web.Application, vendor: str) -> None:
        app.router.add_post(f"/control/{vendor}/{{action}}", self._serve)

    async def _serve(self, request: web.Request) -> web.Response:
        """A wrong name or value is answered 400 with an explanation."""
        action = self._actions.get(request.match_info["action"])
        if action is None:
            raise web.HTTPNotFound(text=f"there are: {', '.join(sorted(self._actions))}")
        require_json(request)
        try:
            result = action(await request.json() if request.can_read_body else {})
            if isinstance(result, Awaitable):
                result = await result
        except (TypeError, ValueError, LookupError) as error:
            raise web.HTTPBadRequest(text=f"{type(error).__name__}: {error}") from None
        return web.json_response(result or {})

    def _fail(self, body: dict[str, Any]) -> None:
        """{status, times, retry_after?, body?, match?: {path, person, text}, after?}"""
        options = {name: value for name, value in body.items() if name != "after"}
        self._met(body).fail(**{**options, "match": match_of(body)})

    def _hold(self, body: dict[str, Any]) -> dict[str, Any]:
        """{match?, after?} → {hold}, its number for reached and release."""
        self._holds.append(self._met(body).hold(match_of(body)))
        return {"hold": len(self._holds) - 1}

    def _slow(self, body: dict[str, Any]) -> None:
        """{seconds, least?, after?}: delay each call by at least `least` and at most `seconds`."""
        faults = self._met(body)
        faults.slowness, faults.least_slowness = float(body["seconds"]), float(body.get("least", 0))

    async def _reached(self, body: dict[str, Any]) -> dict[str, Any]:
        """{hold, timeout?}: waits until a call is held."""
        try:
            async with asyncio.timeout(body.get("timeout", 10)):
                await self._holds[body["hold"]].reached.wait()
        except TimeoutError:
            return {"reached": False}
        return {"reached": True}

    def _release(self, body: dict[str, Any]) -> None:
        self._holds[body["hold"]].release()

    def _met(self, body: dict[str, Any]) -> Faults:
        return self._after if body.get("after") else self._before


def require_json(request: web.Request) -> None:
    """Refuse a request that is not JSON: a form on another site cannot set this Content-Type."""
    if request.can_read_body and request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send application/json")


def match_of(body: dict[str, Any]) -> Match:
    return matching(**body.get("match", {}))
