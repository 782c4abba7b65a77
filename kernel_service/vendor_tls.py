"""The TLS of all calls to vendors. A process loads the root certificates once: that takes 25 ms and half a megabyte."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    import ssl


def vendor_tls() -> ssl.SSLContext:
    """The machine's roots, or those that SSL_CERT_FILE or SSL_CERT_DIR names."""
    return _context(os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))


@cache
def _context(_file: str, _folder: str) -> ssl.SSLContext:
    return httpx2.create_ssl_context()
