"""The address at which gateways and other nodes reach this one."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from serving.listening import Address
from serving.loopback import is_loopback


def check_advertised(text: str) -> Address:
    """ValueError for an address that no other process can connect to."""
    address = Address.parse(text)
    if _is_wildcard(address.host) or not address.port:
        raise ValueError(
            "must name a host and a port that others can connect to, as 10.0.0.7:50051 or kernel-1.example.com:50051"
        )
    return address


def advertised(setting: str, listen: Address, port: int) -> Address:
    """`setting` is KERNEL_ADVERTISE; `port` is the one that is bound."""
    if setting:
        return check_advertised(setting)
    return Address(_own_host() if _is_wildcard(listen.host) else listen.host, port)


def _own_host() -> str:
    """An address of this machine's hostname, preferably one that other machines reach and of IPv4."""
    hostname = socket.gethostname()
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(hostname, None, type=socket.SOCK_STREAM)}
    except OSError:
        return hostname
    return min(found, key=lambda host: (is_loopback(host), ":" in host, host))


def _is_wildcard(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return not host
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_unspecified or (mapped is not None and mapped.is_unspecified)
