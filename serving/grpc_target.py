"""Parses gRPC targets (https://grpc.github.io/grpc/core/md_doc_naming.html)."""

from __future__ import annotations

from typing import Final

_LARGEST_PORT: Final = 65_535
_SOCKETS: Final = frozenset({"unix", "unix-abstract"})
_SCHEMES: Final = frozenset({"dns", "ipv4", "ipv6"})


def host_and_port(target: str) -> tuple[str, int]:
    """Those of the first address. An empty host: a socket of this machine. Port 0: the target names none."""
    scheme, _, rest = target.strip().partition(":")
    if scheme in _SOCKETS:
        return "", 0
    endpoint = rest.rpartition("/")[2] if scheme in _SCHEMES else target.strip()
    first = endpoint.split(",", 1)[0]
    if first.startswith("["):
        host, _, port = first[1:].partition("]")
        return host, _port(port.removeprefix(":"))
    host, _, port = first.rpartition(":")
    return (host, _port(port)) if host and ":" not in host and _port(port) else (first, 0)


def _port(text: str) -> int:
    """0: it is none."""
    return int(text) if text.isascii() and text.isdigit() and int(text) <= _LARGEST_PORT else 0
