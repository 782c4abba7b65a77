"""What vendors with a JSON API share: the key and the body checked, faults before a call, refusals after."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from emulators.control import Control
from emulators.faults import Call, Fault, Faults, Hold, Match, drop, every

KEPT_REQUESTS = 1000

Handler = Callable[[web.Request, Call], Awaitable[web.StreamResponse]]


class RefusedError(Exception):
    """A request that the vendor would not take: the HTTP status and the body in the vendor's error format."""

    def __init__(self, message: str, status: int, body: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class Vendor:
    """Serves calls below `base`, keeps the last of them in `requests`, and lets tests put in faults.

    A vendor says how it checks keys, whom a call concerns, and how it words its errors. `faults` are met before
    anything is done, `after` once it is done (status 0 drops the connection unanswered).
    """

    base: str
    base_url: str
    """Where the vendor's clients find it."""

    def __init__(self, make_id: Callable[[], str]) -> None:
        self.requests: list[Call] = []
        self.faults = Faults()
        self.after = Faults()
        self.make_id = make_id

    def check_key(self, request: web.Request) -> None:
        """Raises RefusedError unless the request carries the project's key."""
        raise NotImplementedError

    def person(self, path: str, body: Any) -> str:
        """The vendor's id of whom a call is for, or ""."""
        raise NotImplementedError

    def refusal(self, status: int) -> RefusedError:
        """What the vendor says with a status that is not the request's fault."""
        raise NotImplementedError

    def check_content_type(self, request: web.Request) -> None:
        """Raises RefusedError unless the body says that it is what the vendor takes."""
        raise NotImplementedError

    def bad_body(self) -> RefusedError:
        """What the vendor says to a body that is no JSON object."""
        raise NotImplementedError

    def fail(
        self,
        status: int = 500,
        times: int = 1,
        *,
        retry_after: float | None = None,
        body: str | None = None,
        match: Match = every,
    ) -> None:
        """Refuse the next matching calls; status 0 drops the connection, body replaces the vendor's error."""
        self.faults.fail(status, times, retry_after=retry_after, body=body, match=match)

    def hold(self, match: Match = every) -> Hold:
        """Keep matching calls waiting until the hold is released."""
        return self.faults.hold(match)

    def clear(self) -> None:
        """Forget all faults and let go what is held."""
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
        """Under load for an hour they would fill the memory."""
        if len(self.requests) >= 2 * KEPT_REQUESTS:
            del self.requests[:-KEPT_REQUESTS]
        self.requests.append(call)

    async def read_body(self, request: web.Request) -> Any:
        """The JSON object that came, and that says it is JSON. Raises RefusedError."""
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
        if fault.retry_after is not None:
            response.headers["Retry-After"] = f"{fault.retry_after:g}"
        return response
