"""The proxies that the environment names: checked at the start, since clients fail on a bad one only in a request.

httpx and httpx2 find them by themselves, in `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`. aiohttp would look
them up for each request, in a thread and in files, so that its proxy is found here, once.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it

from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)


def check_proxies(environ: Mapping[str, str]) -> None:
    """Log the proxies. ValueError for an unusable one, without its value."""
    for name in ("https_proxy", "http_proxy", "all_proxy"):
        if value := _setting(environ, name):
            log.info("%s: the vendors are reached through %s", name, _address(name, value))


def proxy_of(url: URL, environ: Mapping[str, str]) -> URL | None:
    """The proxy for this address, with its user and password; None: it is reached directly."""
    proxy = _setting(environ, f"{url.scheme}_proxy") or _setting(environ, "all_proxy")
    if not proxy or proxy_bypass_environment(f"{url.host}:{url.port}", {"no": _excepted(url.scheme, environ)}):
        return None
    return URL(proxy if "://" in proxy else f"http://{proxy}")


def _excepted(scheme: str, environ: Mapping[str, str]) -> str:
    """The hosts of `no_proxy` for this scheme, as urllib reads them: without a scheme, `*` and brackets."""
    entries = (entry.strip().rpartition("://") for entry in _setting(environ, "no_proxy").split(","))
    hosts = [host for of, _, host in entries if of in ("", "all", scheme)]
    return ",".join(hosts).replace("*.", ".").replace("[", "").replace("]", "")


def _setting(environ: Mapping[str, str], name: str) -> str:
    """Lower case wins, as in curl."""
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _address(name: str, value: str) -> str:
    """The address without user and password."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = parts.port or 80
    except ValueError:
        port = 0
    if not port or parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{name} must be a proxy of the form http://host:port, with user:password@ if it asks")
    return f"{parts.hostname}:{port}"
