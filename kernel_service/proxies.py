"""The proxies that the environment names. The vendors' clients find them by themselves; this module checks them first.

Both clients (httpx and httpx2) read `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`, and fail on a proxy that
is not http only when a person waits.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)


def check_proxies(environ: Mapping[str, str]) -> None:
    """Log the proxies. ValueError for an unusable one, without its value."""
    for name in ("https_proxy", "http_proxy", "all_proxy"):
        value = environ.get(name) or environ.get(name.upper()) or ""
        if value:
            log.info("%s: the vendors are reached through %s", name, _address(name, value))


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
