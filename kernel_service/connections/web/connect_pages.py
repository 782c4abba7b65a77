"""The connect pages: between a link in a chat and the vendor's consent, and the way back to the chat.

    GET  /connect/<nonce>          what the link is for; changes nothing (chats fetch links to preview them).
    POST /connect/<nonce>          on to the vendor.
    GET  /connect/return/<nonce>   the vendor's callback: the code.
    GET  /connect/verify           the verifier's callback (`session_uri`): the code.
    POST /connect/events           the vendor's events.
    GET  /connect/health           that these are the pages, and whether X-Forwarded-For counts, for kernelctl doctor.

Put a proxy that speaks https in front of it, and trust it to say who asks. No address holds personal data, and none is
logged.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import asynccontextmanager
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web

from kernel_service.connections.consent import PageKind, PageView
from kernel_service.connections.tokens import new_nonce
from kernel_service.connections.web import pages
from kernel_service.connections.web.browser_cookie import BrowserCookie
from kernel_service.connections.web.masking import channel_name, masked
from kernel_service.connections.web.not_found_limiter import NotFoundLimiter
from kernel_service.connections.web.refused_events import STALLED, TOO_LARGE, WRONG_SIGNATURE, RefusedEvents
from kernel_service.errors import KernelError
from serving.listening import http_served
from serving.public_http import public_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from kernel_service.connections.consent import Consent
    from kernel_service.connections.vendor_events import ComposioEvents
    from kernel_service.connections.web.proxies import TrustedProxies
    from kernel_service.connections.web.throttle import RequestThrottle
    from kernel_service.ports.chats import ChatStore
    from kernel_service.ports.connect_attempts import ConnectAttempt
    from kernel_service.ports.people import PeopleStore
    from serving.listening import Address

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)

MOST_EVENT_BYTES: Final = 1024 * 1024
"""An event may hold a whole mail, with its source. It is in memory as a whole until its signature is checked."""
EVENT_SECONDS: Final = 10.0
"""The longest that an event's body may take: until it is complete its signature cannot be checked."""

_NONCE: Final = "{nonce:[A-Za-z0-9_-]{43}}"
_LINK: Final = re.compile(rb"/connect/(?:return/)?([A-Za-z0-9_-]{43})[? ]")
_OTHER_PAGES: Final = (b"/connect/style.css", b"/connect/verify", b"/connect/events", b"/connect/health")
"""Requests for these are limited by the client's address only: from their first line their validity is unknown."""
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_POLICY: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' "


class ConnectPages:
    """`public_url` is the pages' address as browsers see it, without a path."""

    def __init__(  # noqa: PLR0917 - the parts of the pages
        self,
        consent: Consent,
        events: ComposioEvents,
        chats: ChatStore,
        people: PeopleStore,
        public_url: str,
        proxies: TrustedProxies,
    ) -> None:
        self._consent = consent
        self._events = events
        self._chats = chats
        self._people = people
        self._proxies = proxies
        self._not_found = NotFoundLimiter()
        self.refused_events = RefusedEvents()
        self._cookie = BrowserCookie(public_url)
        # The form's answer redirects to the vendor, and browsers apply the policy to redirects, too.
        policy = _POLICY + ("https:" if public_url.startswith("https://") else "https: http:")
        self._headers = {**_HEADERS, "Content-Security-Policy": policy}
        self._busy = _in_bytes(_plain(PageKind.RATE_LIMITED), self._headers)

    @cached_property
    def _throttle(self) -> RequestThrottle:
        """Imported with the first page, since its package takes 1.5 MB and 15 ms."""
        from kernel_service.connections.web.throttle import RequestThrottle  # noqa: PLC0415

        return RequestThrottle()

    @asynccontextmanager
    async def serving(self, listen: Address) -> AsyncIterator[int]:
        """Until the block is left; the port. CannotListenError."""
        async with http_served(self._app(), "CONNECT_LISTEN", listen, refuses=self._refusal) as port:
            yield port

    def _app(self) -> web.Application:
        app = public_app([self._guard], client_max_size=MOST_EVENT_BYTES)
        app.add_routes(
            [
                web.get("/connect/style.css", self._style),
                web.get("/connect/health", self._health),
                web.get("/connect/verify", self._verify, allow_head=False),
                web.get(f"/connect/return/{_NONCE}", self._return, allow_head=False),
                web.get(f"/connect/{_NONCE}", self._view),
                web.post(f"/connect/{_NONCE}", self._start),
                web.post("/connect/events", self._event),
            ]
        )
        return app

    def _refusal(self, first_line: bytes) -> bytes | None:
        """The answer to an invalid link, while requests of such links exceed their limit; else None."""
        _, _, target = first_line.partition(b" ")
        link = _LINK.match(target)
        if (
            (link and self._consent.nonces.is_ours(link[1]))
            or target.startswith(_OTHER_PAGES)
            or self._not_found.admits()
        ):
            return None
        return self._busy

    # --- requests ------------------------------------------------------------------------------------

    async def _view(self, request: web.Request) -> web.Response:
        # The browser gets its cookie before it claims the link, since an answer may be lost.
        browser = self._cookie.of(request) or new_nonce()
        seen = await self._consent.view(request.match_info["nonce"], browser)
        return await self._show(seen, browser, request.headers.get(hdrs.USER_AGENT, ""))

    async def _start(self, request: web.Request) -> web.Response:
        # A page of another site must not make a browser skip the page that names the chat.
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            return await self._view(request)
        browser = self._cookie.of(request) or new_nonce()
        return await self._show(await self._consent.start(request.match_info["nonce"], browser), browser)

    async def _return(self, request: web.Request) -> web.Response:
        browser = self._cookie.of(request) or new_nonce()
        account_id = request.query.get("connected_account_id", "")
        return await self._show(await self._consent.returned(request.match_info["nonce"], account_id, browser), browser)

    async def _verify(self, request: web.Request) -> web.Response:
        """The rate limit changes only the answer: beyond it, too, a session is accepted or permanently rejected."""
        browser, client = self._cookie.of(request), self._client(request)
        session_uri = request.query.get("session_uri", "")
        admitted = await self._throttle.admits(client, request.method, session_uri)

        async def admits_unmatched() -> bool:
            return admitted and await self._throttle.admits_unmatched(client)

        seen = await self._consent.verified(session_uri, browser, admits_unmatched)
        if seen.kind is PageKind.UNKNOWN and not admitted:
            seen = PageView(PageKind.RATE_LIMITED)
        return await self._show(seen, browser)

    async def _style(self, _: web.Request) -> web.Response:
        return web.Response(text=pages.STYLE, content_type="text/css")

    async def _health(self, request: web.Request) -> web.Response:
        """No address is named, not even the caller's own: behind a proxy it may be one of the internal network."""
        use = self._proxies.use_of(request.remote or "", request.headers.getall(hdrs.X_FORWARDED_FOR, []))
        return web.json_response({"service": "connect", "forwarded_for": use})

    async def _event(self, request: web.Request) -> web.Response:
        """A signed event is handled whatever the rate limit says; an unsigned one counts against the limit.

        No body is read that cannot be Composio's, and none is awaited without a timeout.
        """
        if self._events.may_be_signed(request.headers):
            if (request.content_length or 0) > MOST_EVENT_BYTES:
                return self._too_large(request)
            try:
                async with asyncio.timeout(EVENT_SECONDS):
                    body = await request.read()
            except TimeoutError:
                self.refused_events.note(STALLED, request.content_length)
                return web.Response(status=HTTPStatus.REQUEST_TIMEOUT)
            except web.HTTPRequestEntityTooLarge:  # its length was not told
                return self._too_large(request)
            if await self._events.handle(request.headers, body):
                return web.Response()
            self.refused_events.note(WRONG_SIGNATURE, len(body))
        admitted = await self._throttle.admits(self._client(request), request.method)
        return web.Response(status=HTTPStatus.UNAUTHORIZED if admitted else HTTPStatus.TOO_MANY_REQUESTS)

    def _too_large(self, request: web.Request) -> web.Response:
        self.refused_events.note(TOO_LARGE, request.content_length)
        return web.Response(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    # --- answers ---------------------------------------------------------------------------------------

    async def _show(self, seen: PageView, browser: str, user_agent: str = "") -> web.Response:
        if seen.kind is PageKind.REDIRECT:
            response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": seen.url})
        else:
            response = web.Response(
                text=await self._page(seen, user_agent), content_type="text/html", status=pages.status_of(seen.kind)
            )
        if browser and seen.kind in {PageKind.CONFIRM, PageKind.REDIRECT, PageKind.CODE}:
            self._cookie.give(response, browser)
        return response

    async def _page(self, seen: PageView, user_agent: str) -> str:
        if seen.attempt is not None and seen.kind is PageKind.CONFIRM:
            return pages.ask(seen.attempt, await self._chat(seen.attempt), user_agent)
        if seen.attempt is not None and seen.kind is PageKind.CODE:
            link = await self._chats.link(seen.attempt.channel, seen.attempt.address)
            return pages.code(seen.attempt, await self._chat(seen.attempt), link)
        return pages.plain(seen.kind)

    async def _chat(self, attempt: ConnectAttempt) -> str:
        who = masked(await self._people.ids_in(attempt.person_id, attempt.channel))
        return f"the {channel_name(attempt.channel)} chat of {who}".removesuffix(" of ")

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Sets the headers of every answer and applies the rate limit; errors show no details."""
        response: web.StreamResponse
        try:
            response = await handler(request) if await self._admits(request) else _plain(PageKind.RATE_LIMITED)
        except web.HTTPNotFound:
            response = _plain(PageKind.UNKNOWN)
        except KernelError as error:
            log.warning("connect page unavailable reason=%s", error.reason)
            response = _plain(PageKind.VENDOR_UNAVAILABLE)
        if response.status == HTTPStatus.NOT_FOUND and not self._limits_itself(request):
            self._not_found.count()
        response.headers.update(self._headers)
        # Each request opens a separate connection, so that its first line is checked.
        response.force_close()
        return response

    async def _admits(self, request: web.Request) -> bool:
        if self._limits_itself(request):
            return True
        return await self._throttle.admits(self._client(request), request.method, request.match_info.get("nonce", ""))

    def _limits_itself(self, request: web.Request) -> bool:
        """Whether the handler applies the limits itself, after it has checked a signature or a session."""
        return request.match_info.handler in {self._event, self._verify}

    def _client(self, request: web.Request) -> str:
        return self._proxies.client_of(request.remote or "", request.headers.getall(hdrs.X_FORWARDED_FOR, []))


def _plain(kind: PageKind) -> web.Response:
    return web.Response(text=pages.plain(kind), content_type="text/html", status=pages.status_of(kind))


def _in_bytes(response: web.Response, headers: Mapping[str, str]) -> bytes:
    """The complete answer as bytes; it closes the connection."""
    body = (response.text or "").encode()
    lines = [
        f"HTTP/1.1 {response.status} {response.reason}",
        f"Content-Type: {response.headers[hdrs.CONTENT_TYPE]}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
