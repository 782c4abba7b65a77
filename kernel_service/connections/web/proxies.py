"""The client's address: behind proxies the peer is the last proxy, and X-Forwarded-For names the sender before each.

aiohttp-remotes 1.4.0 does not fit. Its XForwardedFiltered believes every sender. Its XForwardedStrict wants
the same number of proxies before every request. Both refuse a header in several lines, as HAProxy makes them.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

HOST_BITS: Final = 64
"""The part of an IPv6 address that every host chooses for itself."""


class TrustedProxies:
    """`setting` lists the trusted proxies, such as `127.0.0.1,10.0.0.0/8`; empty: none. ValueError: it is malformed."""

    def __init__(self, setting: str = "") -> None:
        self._networks = [_network(word) for word in setting.split(",") if word.strip()]
        self._warned = False

    def client_of(self, peer: str, forwarded: Sequence[str]) -> str:
        """The right-most address that belongs to no trusted proxy; an IPv6 one as the /64 that a host may use.

        Its sender may have forged everything to the left of it. `forwarded` are the header's lines; all values that
        are not addresses share one name.
        """
        client = _address(peer)
        if forwarded and not self._trusts(client):
            self._warn()
        hops = ",".join(forwarded).split(",") if forwarded else []
        while hops and self._trusts(client):
            client = _address(hops.pop())
        if isinstance(client, IPv6Address):
            return str(ip_network((int(client), HOST_BITS), strict=False))
        return str(client)

    def use_of(self, peer: str, forwarded: Sequence[str]) -> str:
        """Whether the header of a request counts: `used`, `ignored` (the peer is not trusted), or `absent`."""
        if not forwarded:
            return "absent"
        return "used" if self._trusts(_address(peer)) else "ignored"

    def _trusts(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def _warn(self) -> None:
        if not self._warned:
            log.warning(
                "X-Forwarded-For comes from a peer that CONNECT_TRUSTED_PROXIES does not name: if it is your proxy, "
                "name it there; until then all who come through it share the limit of one address"
            )
        self._warned = True


def _network(word: str) -> IPv4Network | IPv6Network:
    with suppress(ValueError):
        network = ip_network(word.strip())
        if network.prefixlen:  # or every client could forge its address
            return network
    raise ValueError("must be addresses or networks with commas, as 127.0.0.1,10.0.0.0/8, and not every address")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """None: it is no address. Some proxies add the port; a socket for both versions shows IPv4 as a part of IPv6."""
    host, _, _ = text.rpartition(":")
    for each in (text, host):
        with suppress(ValueError):
            address = ip_address(each.strip(" \t[]"))
            return getattr(address, "ipv4_mapped", None) or address
    return None
