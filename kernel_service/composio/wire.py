"""Composio's wire: JSON over one shared client, and what each failure means. No session, link or argument is logged.

Source: composio-client 2.0.0rc19, `_base_client` and `_exceptions`. Its typed methods are left aside: they would
check hundreds of tool schemas on the event loop, and their import takes seconds (package.py).
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any, Final

import httpx
import orjson

from kernel_service.composio.package import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncAPIClient,
    NoAuth,
    ProjectAuth,
    __version__,
)
from kernel_service.errors import VendorUnavailable
from kernel_service.storable import from_json, to_json
from kernel_service.vendor_tls import vendor_tls
from serving.retry_after import retry_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.rate_limits.fair_queue import FairQueue


log = logging.getLogger(__name__)

ALERTS: Final = {
    "tools_reject_key": "Composio refuses COMPOSIO_API_KEY; set a valid one. Until then no tool of a toolkit works",
    "tools_unpaid": "Composio's project has no credit; pay there. Until then no tool of a toolkit works",
}
"""The operator's action for each problem. All other problems end without one."""


class ComposioRefusedError(Exception):
    """Composio refuses the request (400, 404, …). `code` is its slug for the reason; `explanation` is for the model."""

    def __init__(self, status: int, code: str, explanation: str = "") -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.explanation = explanation


class SessionGoneError(Exception):
    """Composio no longer has this session. Nothing was done."""


class MaybeDoneError(Exception):
    """The request was sent, and no valid answer arrived: it may have been done."""


class UnansweredError(VendorUnavailable):
    """The request was sent, and no valid answer arrived: the vendor is unavailable, or cannot answer this request."""

    def __init__(self) -> None:
        super().__init__("tools_unavailable")


class Wire:
    """`timeout` bounds a request in seconds, from when the queue admits it."""

    def __init__(self, api_key: str, base_url: str, *, timeout: float, queue: FairQueue) -> None:
        self._timeout = timeout
        self._queue = queue
        self._alerted = ""
        # The client refuses a credential over plain http (unless to this host), so there the key is a header.
        plain = base_url.startswith("http://")
        self._client = AsyncAPIClient(
            auth=NoAuth() if plain else ProjectAuth(api_key),
            default_headers={"x-api-key": api_key} if plain else None,
            base_url=base_url.rstrip("/"),
            max_retries=0,
            timeout=timeout,
            user_agent=f"Composio/Python {__version__}",
            http_client=httpx.AsyncClient(
                verify=vendor_tls(), limits=httpx.Limits(max_connections=200, max_keepalive_connections=50)
            ),
        )
        # Both write addresses, and with them session and account ids.
        for name in ("httpx", "composio_client"):
            logging.getLogger(name).setLevel(logging.WARNING)

    async def close(self) -> None:
        await self._client.close()

    async def ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Send a request that may be repeated without harm."""
        try:
            return await self.send(method, path, timeout=self._timeout, **request)
        except MaybeDoneError:
            raise UnansweredError from None

    async def send(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        body: Any = None,
        query: Any = None,
        is_answer: bool = False,
        admitted: Callable[[], None] | None = None,
    ) -> dict[str, Any]:
        """`is_answer`: a 4xx answers this request, and says nothing about our key or the session.

        `admitted` is called directly before the request, after its wait in the queue. Its error is raised here.
        """
        options: Any = {"timeout": httpx.Timeout(timeout, connect=min(timeout, 5.0)), "max_retries": 0}
        if query is not None:
            options["params"] = query
        # As JSON: a value that the client would leave out must not appear to have been sent.
        written = orjson.loads(to_json(body))
        await self._queue.acquire()
        if admitted is not None:
            admitted()
        try:
            async with asyncio.timeout(timeout):
                if method == "post":
                    raw = await self._client.post(path, cast_to=bytes, body=written, options=options)
                else:
                    raw = await getattr(self._client, method)(path, cast_to=bytes, options=options)
        except APIStatusError as error:
            refusal = self._refusal(error)
            if is_answer and httpx.codes.is_client_error(error.status_code) and error.status_code not in _AGAIN:
                raise ComposioRefusedError(error.status_code, _code(error)) from None
            raise refusal from None
        except APIConnectionError as error:
            raise _lost(error) from None
        except (TimeoutError, APIError, RecursionError):  # the client parses an error's body by itself, at any depth
            raise MaybeDoneError from None
        return self._read(raw)

    def _read(self, raw: bytes) -> dict[str, Any]:
        """The client's own parser fails on some texts that people write and tools return."""
        try:
            answer = from_json(raw)
        except ValueError:
            raise MaybeDoneError from None
        if not isinstance(answer, dict):
            raise MaybeDoneError
        self._answered()
        return answer

    def _refusal(self, error: APIStatusError) -> Exception:
        seconds = retry_after(error.response.headers)
        if error.status_code == httpx.codes.TOO_MANY_REQUESTS and seconds is not None:
            return self._queue.rejected(seconds)
        refusal = _refusal(error)
        if isinstance(refusal, VendorUnavailable) and refusal.problem in ALERTS:
            self._alert(refusal.problem)
        return refusal

    def _alert(self, problem: str) -> None:
        """Log an alert, once until a request is answered again."""
        if problem != self._alerted:
            log.error("alert: %s: %s", problem, ALERTS[problem])
        self._alerted = problem

    def _answered(self) -> None:
        if self._alerted:
            log.warning("%s is over", self._alerted)
        self._alerted = ""


_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,  # the proxy sent no request on
    httpx.UnsupportedProtocol,
)


def _lost(error: APIConnectionError) -> Exception:
    if isinstance(error.__cause__, _NEVER_SENT):
        return VendorUnavailable("tools_unavailable")
    return MaybeDoneError()


_FOREIGN_ACCOUNT: Final = "ConnectedAccount_UserIdMismatch"
"""Codes of a 403 that says nothing about our key: the account is another person's."""
_OF_THE_PROJECT: Final = {401: "tools_reject_key", 402: "tools_unpaid", 403: "tools_reject_key"}
_PASSING: Final = {429: "tools_busy", 503: "tools_unavailable"}
"""Statuses that say that nothing was done."""
_AGAIN: Final = (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS)
_SLUG: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_SESSION_GONE: Final = re.compile(r"Session\w*(?:NotFound|Expired|Deleted|Gone)", re.IGNORECASE)
_GONE: Final = (httpx.codes.NOT_FOUND, httpx.codes.GONE)


def _refusal(error: APIStatusError) -> Exception:
    status = error.status_code
    code = _code(error)
    if status in _OF_THE_PROJECT and code != _FOREIGN_ACCOUNT:
        return VendorUnavailable(_OF_THE_PROJECT[status])
    if status in _PASSING:
        return VendorUnavailable(_PASSING[status], retry_after(error.response.headers))
    # Any other 5xx leaves it open: a tool may have done its work before its answer was lost.
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
        return MaybeDoneError()
    if status in _GONE and _SESSION_GONE.search(code):
        return SessionGoneError()
    return ComposioRefusedError(status, code, _explanation(_details(error)))


def _code(error: APIStatusError) -> str:
    slug = _details(error).get("slug")
    return slug if isinstance(slug, str) and _SLUG.fullmatch(slug) else f"http_{error.status_code}"


def _details(error: APIStatusError) -> dict[str, Any]:
    return error.details if isinstance(error.details, dict) else {}


def _explanation(details: dict[str, Any]) -> str:
    errors = details.get("errors")
    parts = [details.get("message"), *(errors if isinstance(errors, list) else ()), details.get("suggested_fix")]
    return "\n".join(part for part in parts if isinstance(part, str) and part)
