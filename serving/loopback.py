"""Tells whether an address stays on this machine. A name other than localhost may resolve anywhere, so it does not."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Final

_LOCAL_SCHEMES: Final = ("unix:", "unix-abstract:")
_ADDRESS_SCHEMES: Final = ("ipv4:", "ipv6:")
_DNS_PREFIX: Final = "dns:"
_NO_AUTHORITY: Final = "///"


def is_loopback(host: str) -> bool:
    """`host` comes without a port, an IPv6 address without brackets. Empty, 0.0.0.0 and :: mean every interface."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def keeps_to_loopback(target: str) -> bool:
    """Whether every address of a gRPC target (https://grpc.github.io/grpc/core/md_doc_naming.html) is loopback."""
    target = target.strip()
    lower = target.lower()
    if lower.startswith(_LOCAL_SCHEMES):
        return True
    if lower.startswith(_ADDRESS_SCHEMES):
        return all(_is_loopback_endpoint(each) for each in target.partition(":")[2].split(","))
    if lower.startswith(_DNS_PREFIX):
        # `dns://server/name` asks that server, which may answer anything.
        rest = target[len(_DNS_PREFIX) :]
        return not _names_a_server(rest) and _is_loopback_endpoint(rest.removeprefix(_NO_AUTHORITY))
    return _is_loopback_endpoint(target)


def _names_a_server(rest: str) -> bool:
    return rest.startswith("//") and not rest.startswith(_NO_AUTHORITY)


def _is_loopback_endpoint(endpoint: str) -> bool:
    """`host`, `host:port`, `[IPv6]:port` or a bare IPv6 address."""
    endpoint = endpoint.strip()
    if endpoint.startswith("["):
        host, _, port = endpoint[1:].partition("]")
        return is_loopback(host) and port[:1] in {"", ":"}
    host, _, port = endpoint.rpartition(":")
    return is_loopback(host if host and ":" not in host and port.isdigit() else endpoint)
