"""Where the gateway listens: `host:port` as people write it."""

import errno
import re
import socket
from ipaddress import IPv6Address
from typing import Final, NamedTuple, Self

from aiohttp import web

_HOST: Final = re.compile(r"[A-Za-z0-9._-]*")
_EVERY_INTERFACE: Final = frozenset({"", "*", "::"})
_MOST: Final = 65_535
_BACKLOG: Final = 128
_NO_IPV6: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


class Address(NamedTuple):
    """Port 0 is any free one. An empty host is every interface, IPv6's and IPv4's."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError for anything but `host:port`, `[IPv6]:port` and `:port`."""
        host, colon, port = text.strip().rpartition(":")
        if not colon or not (port.isascii() and port.isdigit()) or int(port) > _MOST:
            raise ValueError(_FORM)
        if host.startswith("[") and host.endswith("]"):
            try:
                host = str(IPv6Address(host[1:-1]))
            except ValueError:
                raise ValueError(_FORM) from None
        elif host != "*" and not _HOST.fullmatch(host):
            raise ValueError(_FORM)
        return cls("" if host in _EVERY_INTERFACE else host, int(port))

    def __str__(self) -> str:
        host = self.host or "::"
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


_FORM: Final = "must be host:port with a port up to 65535, as 127.0.0.1:8080, [::1]:8080, or :8080 for every interface"


async def listen(runner: web.AppRunner, address: Address) -> int:
    """The port. OSError: it is in use, or the host is not one of this machine's."""
    if address.host:
        site: web.BaseSite = web.TCPSite(runner, address.host, address.port, backlog=_BACKLOG)
    else:
        site = web.SockSite(runner, _on_every_interface(address.port), backlog=_BACKLOG)
    await site.start()
    port: int = runner.addresses[0][1]
    return port


def _on_every_interface(port: int) -> socket.socket:
    """One socket for both, since asyncio takes [::] for IPv6 alone."""
    if not socket.has_dualstack_ipv6():
        return socket.create_server(("", port))
    try:
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    except OSError as error:
        if error.errno not in _NO_IPV6:
            raise
    return socket.create_server(("", port))
