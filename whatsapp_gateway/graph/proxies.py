"""The outbound proxy, if the environment names one.

`https_proxy` or `http_proxy` by the scheme of the address, else `all_proxy`, and none for a host in `no_proxy`. aiohttp
would look it up for each request, in a thread and in files (`trust_env`): 0.5 ms of CPU. Here it is looked up once per
host.
"""

import logging
from collections.abc import Mapping
from typing import Final
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it

from yarl import URL

logger = logging.getLogger(__name__)

_SCHEMES: Final = ("https", "http", "all")


class Proxies:
    """Raises `ValueError`, without the value, for an unusable proxy. `environ` is read once; lower case wins."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._proxies = {scheme: proxy for scheme in _SCHEMES if (proxy := _proxy(environ, f"{scheme}_proxy"))}
        self._excepted = {"no": _setting(environ, "no_proxy").replace("*.", ".")}
        self._known: dict[URL, URL | None] = {}

    def of(self, url: URL) -> URL | None:
        """The proxy for a URL; None: direct."""
        origin = url.origin()
        if origin not in self._known:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[origin] = self._look_up(origin)
        return self._known[origin]

    def log_proxy_of(self, url: URL) -> None:
        """Log the proxy for this address, without user and password."""
        if proxy := self.of(url):
            logger.info("%s is reached through the proxy %s:%s", url.host, proxy.host, proxy.port)

    def _look_up(self, origin: URL) -> URL | None:
        proxy = self._proxies.get(origin.scheme) or self._proxies.get("all")
        if proxy is None or proxy_bypass_environment(f"{origin.host}:{origin.port}", self._excepted):
            return None
        return proxy


_MOST_KNOWN: Final = 1000
"""Files are on many hosts."""


def _setting(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _proxy(environ: Mapping[str, str], name: str) -> URL | None:
    value = _setting(environ, name)
    if not value:
        return None
    try:
        proxy = URL(value if "://" in value else f"http://{value}")
        usable = proxy.scheme == "http" and bool(proxy.host)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(
            f"{name} must be a proxy of the form http://host:port, with user:password@ if it requires them"
        )
    return proxy


DIRECT: Final = Proxies({})
