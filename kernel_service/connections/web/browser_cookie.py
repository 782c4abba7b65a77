"""The cookie by which the connect pages recognise a browser. Only their own host can set it.

Without a `__Host-` prefix a sibling host (`evil.example.com` beside `connect.example.com`) can set the cookie for both.
An attacker who plants their cookie in another person's browser would pass for that browser, before or after the
vendor's consent. Plain http, which is for this machine's own address, uses neither the prefix nor `Secure`: Chromium
156 accepts both on 127.0.0.1 and localhost, but not every browser does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import hdrs

if TYPE_CHECKING:
    from aiohttp import web

SECONDS: Final = 3600

_NAME: Final = "connect_browser"


class BrowserCookie:
    """`public_url` is the pages' address as browsers see it."""

    def __init__(self, public_url: str) -> None:
        self._secure = public_url.startswith("https://")
        self.name = f"__Host-{_NAME}" if self._secure else _NAME

    def of(self, request: web.Request) -> str:
        """The browser's secret; empty if it sends none, or several, since the right one is unknown.

        Names are compared exactly as received. A lenient parser treats several spellings as the same name, and
        browsers protect the prefix in only one of them.
        """
        pairs = ";".join(request.headers.getall(hdrs.COOKIE, [])).split(";")
        found = [value for name, _, value in (pair.strip(" \t").partition("=") for pair in pairs) if name == self.name]
        return found[0] if len(found) == 1 else ""

    def give(self, response: web.Response, secret: str) -> None:
        response.set_cookie(
            self.name, secret, max_age=SECONDS, path="/", httponly=True, samesite="Lax", secure=self._secure
        )
