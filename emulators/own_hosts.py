"""Refuses requests for other hosts, and writes from pages of other sites.

A page of another site can resolve its own name to 127.0.0.1 (DNS rebinding), or submit forms there. The browser's
headers then name the other host, or the origin of the form.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from serving.listening import Address
from serving.loopback import is_loopback

_MISDIRECTED: Final = 421
_HOST: Final = re.compile(r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(:[0-9]{1,5})?")
_NOT_MEANT: Final = (
    "These are the emulators, and not the host that you mean. If they are, name it in EMULATORS_HOSTS.\n"
)
_READING: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
_OWN_PAGES: Final = frozenset({"same-origin", "none"})


class OwnHosts:
    """The host names of the emulators: loopback, the listen address, and the given names.

    If the emulators listen on every interface, any IP address is accepted, because no site can rebind one.
    """

    def __init__(self, listen: str, urls: Iterable[str], names: Iterable[str]) -> None:
        host = Address.parse(listen).host
        self._any_address = host in {"", "0.0.0.0"}  # noqa: S104 - compared, not bound
        self._names = {host, *names, *(urlsplit(url).hostname or "" for url in urls)} - {""}

    def middleware(self) -> Middleware:
        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            hosts = request.headers.getall(hdrs.HOST, [])
            if len(hosts) != 1 or not self.is_own(hosts[0]):
                return web.Response(status=_MISDIRECTED, text=_NOT_MEANT)
            if request.method not in _READING and not _comes_from_own_page(request, hosts[0]):
                return web.Response(status=403, text="A page of another site may not do this.\n")
            return await handler(request)

        return check

    def is_own(self, given: str) -> bool:
        found = _HOST.fullmatch(given)
        host = (found["v6"] or found["name"]).lower().removesuffix(".") if found else ""
        if is_loopback(host) or host in self._names:
            return True
        return self._any_address and _is_address(host)


def _comes_from_own_page(request: web.Request, host: str) -> bool:
    """Whether no other site's page sent the request. Every browser sends an origin; programs send none."""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site in _OWN_PAGES
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
