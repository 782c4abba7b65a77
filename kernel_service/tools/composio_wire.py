"""Composio's wire: JSON over one shared client, and what each failure means. No session, link or argument is logged.

Source: composio-client 2.0.0rc19, `_base_client` and `_exceptions`. Its typed methods are left aside: they would
check hundreds of tool schemas on the event loop, and their import takes seconds (composio_package.py).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import httpx

from kernel_service.errors import VendorUnavailable
from kernel_service.storable import from_json, storable
from kernel_service.tools.composio_package import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncAPIClient,
    NoAuth,
    ProjectAuth,
    __version__,
)

if TYPE_CHECKING:
    from kernel_service.fairness.gate import Gate


class ComposioRefusedError(Exception):
    """Composio will not do this (400, 404, …). `code` is its slug for why, `explanation` is for the model only."""

    def __init__(self, status: int, code: str, explanation: str = "") -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.explanation = explanation


class SessionGoneError(Exception):
    """Composio knows this session no longer; nothing was done."""


class MaybeDoneError(Exception):
    """The request left, and no answer that can be understood came back."""


class UnansweredError(VendorUnavailable):
    """Asked, and no answer that can be understood came back: perhaps to anybody, perhaps to this one request."""

    def __init__(self) -> None:
        super().__init__("tools_unavailable")


class Wire:
    """`timeout` bounds a request in seconds, from when the gate lets it pass."""

    def __init__(self, api_key: str, base_url: str, *, timeout: float, gate: Gate) -> None:
        self._timeout = timeout
        self._gate = gate
        # The client refuses a credential over plain http (unless to this host), so there the key is a header.
        plain = base_url.startswith("http://")
        self._client = AsyncAPIClient(
            auth=NoAuth() if plain else ProjectAuth(api_key),
            default_headers={"x-api-key": api_key} if plain else None,
            base_url=base_url.rstrip("/"),
            max_retries=0,
            timeout=timeout,
            user_agent=f"Composio/Python {__version__}",
            http_client=httpx.AsyncClient(limits=httpx.Limits(max_connections=200, max_keepalive_connections=50)),
        )
        # Both write addresses, and with them session and account ids.
        for name in ("httpx", "composio_client"):
            logging.getLogger(name).setLevel(logging.WARNING)

    async def close(self) -> None:
        await self._client.close()

    async def ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """A request that does no harm if it is made twice."""
        try:
            return await self.send(method, path, timeout=self._timeout, **request)
        except MaybeDoneError:
            raise UnansweredError from None

    async def send(
        self, method: str, path: str, *, timeout: float, body: Any = None, query: Any = None
    ) -> dict[str, Any]:
        options: Any = {"timeout": httpx.Timeout(timeout, connect=min(timeout, 5.0)), "max_retries": 0}
        if query is not None:
            options["params"] = query
        await self._gate.enter()
        try:
            async with asyncio.timeout(timeout):
                if method == "post":
                    raw = await self._client.post(path, cast_to=bytes, body=storable(body), options=options)
                else:
                    raw = await getattr(self._client, method)(path, cast_to=bytes, options=options)
            # The client's own parser stops at what orjson, or the store, would not take.
            answer = from_json(raw)
        except APIStatusError as error:
            raise self._refusal(error) from None
        except APIConnectionError as error:
            raise _lost(error) from None
        except (TimeoutError, APIError, ValueError, RecursionError):
            raise MaybeDoneError from None
        if not isinstance(answer, dict):
            raise MaybeDoneError
        return answer

    def _refusal(self, error: APIStatusError) -> Exception:
        seconds = _retry_after(error)
        if error.status_code == httpx.codes.TOO_MANY_REQUESTS and seconds is not None:
            return self._gate.refused(seconds)
        return _refusal(error)


_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,  # the proxy let nobody through
    httpx.UnsupportedProtocol,
)


def _lost(error: APIConnectionError) -> Exception:
    if isinstance(error.__cause__, _NEVER_SENT):
        return VendorUnavailable("tools_unavailable")
    return MaybeDoneError()


_NOT_HIS = "ConnectedAccount_UserIdMismatch"
"""A 403 that says nothing of our key."""


def _refusal(error: APIStatusError) -> Exception:
    status = error.status_code
    details = error.details or {}
    code = str(details.get("slug", f"http_{status}"))
    if status in (401, 403) and code != _NOT_HIS:
        return VendorUnavailable("tools_reject_key")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return VendorUnavailable("tools_busy", _retry_after(error))
    if status == httpx.codes.SERVICE_UNAVAILABLE:
        return VendorUnavailable("tools_unavailable", _retry_after(error))
    # Any other 5xx promises nothing: a tool may have done its work before its answer was lost.
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
        return MaybeDoneError()
    if code == "ToolRouterV2_SessionNotFound":
        return SessionGoneError()
    return ComposioRefusedError(status, code, _explanation(details))


def _explanation(details: dict[str, Any]) -> str:
    errors = details.get("errors")
    parts = [details.get("message"), *(errors if isinstance(errors, list) else ()), details.get("suggested_fix")]
    return "\n".join(part for part in parts if isinstance(part, str) and part)


def _retry_after(error: APIStatusError) -> float | None:
    try:
        return max(0.0, float(error.response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None
