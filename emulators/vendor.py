"""The common part of vendors with a JSON API: checks of key and body, faults before and after a call, refusals."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from emulators.control import Control
from emulators.faults import Call, Fault, Faults, Hold, Match, drop, every

KEPT_REQUESTS = 1000
_REDIRECTS = (301, 302, 303, 307, 308)

Handler = Callable[[web.Request, Call], Awaitable[web.StreamResponse]]


class RefusedError(Exception):
    """A refused request: the HTTP status and the body in the vendor's error format."""

    def __init__(self, message: str, status: int, body: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class Vendor:
    """Serves calls below `base`, keeps the latest in `requests`, and lets tests inject faults.

    A subclass defines how keys are checked, which person a call concerns, and how errors are worded. `faults` apply
    before a call is executed, `after` once it is executed (status 0 drops the connection without an answer).
    """

    base: str
    base_url: str
    """The path of the vendor's API."""

    def __init__(self, make_id: Callable[[], str]) -> None:
        self.requests: list[Call] = []
        self.faults = Faults()
        self.after = Faults()
        self.make_id = make_id
        self.compresses = False
        """Whether answers are compressed for clients that accept it, as behind a content delivery network."""

    def check_key(self, request: web.Request) -> None:
        """Raises RefusedError unless the request carries the project's key."""
        raise NotImplementedError

    def person(self, path: str, body: Any) -> str:
        """The vendor's id of the person that a call is for, or ""."""
        raise NotImplementedError

    def refusal(self, status: int) -> RefusedError:
        """The vendor's error for a status that the request did not cause."""
        raise NotImplementedError

    def check_content_type(self, request: web.Request) -> None:
        """Raises RefusedError unless the vendor accepts the Content-Type."""
        raise NotImplementedError

    def bad_body(self) -> RefusedError:
        """The vendor's error for a body that is not a JSON object."""
        raise NotImplementedError

    def fail(
        self,
        status: int = 500,
        times: int = 1,
        *,
        retry_after: float | str | None = None,
        body: str | None = None,
        match: Match = every,
    ) -> None:
        """Refuse the next matching calls; status 0 drops the connection, body replaces the vendor's error."""
        self.faults.fail(status, times, retry_after=retry_after, body=body, match=match)

    def hold(self, match: Match = every) -> Hold:
        """Keep matching calls waiting until the hold is released."""
        return self.faults.hold(match)

    def clear(self) -> None:
        """Remove all faults and release all held calls."""
        self.faults.clear()
        self.after.clear()

    async def close(self) -> None:
        self.clear()

    def control(self) -> Control:
        control = Control(self.faults, self.after)
        control.add("clear", lambda _: self.clear())
        return control

    def serving(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                self.check_key(request)
                body = await self.read_body(request)
                path = request.path.removeprefix(self.base)
                person = self.person(path, body)
                call = Call(request.method, path, body, person, dict(request.headers))
                self._keep(call)
                fault = await self.faults.pass_through(call)
                if fault is not None:
                    return self._faulty(request, fault)
                answer = await handler(request, call)
                if self.compresses and not answer.prepared:
                    answer.enable_compression()
                fault = await self.after.pass_through(call)
                return answer if fault is None else self._faulty(request, fault)
            except RefusedError as refused:
                return self.refuse(refused)

        return serve

    def refuse(self, refused: RefusedError) -> web.Response:
        return self.respond(refused.body, refused.status)

    def respond(self, body: Any, status: int = 200, request_id: str = "") -> web.Response:
        return web.Response(
            body=orjson.dumps(body),
            status=status,
            content_type="application/json",
            headers={"x-request-id": request_id or self.make_id()},
        )

    def _keep(self, call: Call) -> None:
        """Keep only the latest calls: under load for an hour they would fill the memory."""
        if len(self.requests) >= 2 * KEPT_REQUESTS:
            del self.requests[:-KEPT_REQUESTS]
        self.requests.append(call)

    async def read_body(self, request: web.Request) -> Any:
        """The JSON object in the body. Raises RefusedError unless the Content-Type and the body are JSON."""
        if not request.can_read_body:
            return {} if request.method in ("POST", "PATCH") else None
        self.check_content_type(request)
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            raise self.bad_body() from None
        if not isinstance(body, dict):
            raise self.bad_body()
        return body

    def _faulty(self, request: web.Request, fault: Fault) -> web.Response:
        if fault.status == 0:
            return drop(request)
        response = self.refuse(self.refusal(fault.status))
        if fault.body is not None:
            response.body = fault.body.encode()
        response.headers.update(fault.headers())
        if fault.status in _REDIRECTS:
            response.headers["Location"] = "https://elsewhere.invalid/"
        return response
