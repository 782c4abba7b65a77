"""The proxies that the environment names. The vendors' clients find them by themselves; here they are looked at first.

Both clients (httpx and httpx2) read `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`, and fail on others than
http ones only once a person waits.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)


def check_proxies(environ: Mapping[str, str]) -> None:
    """Say which there are. ValueError, without its value, for one that cannot be used."""
    for name in ("https_proxy", "http_proxy", "all_proxy"):
        value = environ.get(name) or environ.get(name.upper()) or ""
        if value:
            log.info("%s: the vendors are reached through %s", name, _address(name, value))


def _address(name: str, value: str) -> str:
    """Without user and password."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = parts.port or 80
    except ValueError:
        port = 0
    if not port or parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{name} must be a proxy of the form http://host:port, with user:password@ if it asks")
    return f"{parts.hostname}:{port}"
