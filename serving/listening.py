"""Where a service listens: `host:port` as people write it, over HTTP or gRPC."""

from __future__ import annotations

import errno
import re
import socket
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiohttp import web

from serving.first_look import FirstLook
from serving.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_HOST: Final = re.compile(r"[A-Za-z0-9._-]*")
_EVERY_INTERFACE: Final = frozenset({"", "*", "::"})
_MOST: Final = 65_535
_BACKLOG: Final = 128
SHUTDOWN_SECONDS: Final = 5.0
"""How long requests in progress may delay the end of a service: a stranger may send one byte by byte."""
_NO_IPV6: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


class CannotListenError(RuntimeError):
    """The port is in use, or the host is not an address of this machine. The text names the setting."""

    def __init__(self, setting: str, address: Address, problem: str) -> None:
        super().__init__(f"{setting}: cannot listen on {address}: {problem}; end what listens there, or name another")


class Address(NamedTuple):
    """Port 0 is any free port. An empty host is every interface, of IPv6 and IPv4."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
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
        """The form that gRPC takes: [::] is every interface, also of IPv4."""
        host = self.host or "::"
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        return is_loopback(self.host)

    @property
    def url(self) -> str:
        """The URL for clients on this machine."""
        host = "127.0.0.1" if self.host in {"", "0.0.0.0"} else self.host  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


_FORM: Final = "must be host:port with a port up to 65535, as 127.0.0.1:8080, [::1]:8080, or :8080 for every interface"


@asynccontextmanager
async def http_served(
    app: web.Application,
    setting: str,
    address: Address,
    *,
    shutdown_seconds: float = SHUTDOWN_SECONDS,
    refuses: Callable[[bytes], bytes | None] | None = None,
) -> AsyncIterator[int]:
    """Serve until the block is left, then finish the requests in progress, in `shutdown_seconds`. Yields the port.

    `refuses` returns the whole answer to a connection's first line, or None to pass the connection to the application.
    Raises CannotListenError.
    """
    runner = _Runner(app, access_log=None, shutdown_timeout=shutdown_seconds)
    runner.refuses = refuses
    await runner.setup()
    try:
        try:
            await _site(runner, address).start()
        except OSError as error:
            raise CannotListenError(setting, address, error.strerror or str(error)) from error
        port: int = runner.addresses[0][1]
        yield port
    finally:
        await runner.cleanup()


class _Runner(web.AppRunner):
    """A runner whose connections pass through FirstLook if `refuses` is set."""

    refuses: Callable[[bytes], bytes | None] | None = None

    @property
    def server(self) -> Any:
        application = super().server
        return partial(FirstLook, self.refuses, application) if self.refuses and application else application


def _site(runner: web.AppRunner, address: Address) -> web.BaseSite:
    if address.host:
        return web.TCPSite(runner, address.host, address.port, backlog=_BACKLOG)
    return web.SockSite(runner, _on_every_interface(address.port), backlog=_BACKLOG)


def _on_every_interface(port: int) -> socket.socket:
    """One socket for IPv4 and IPv6, because asyncio takes [::] for IPv6 alone."""
    if not socket.has_dualstack_ipv6():
        return socket.create_server(("", port))
    try:
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    except OSError as error:
        if error.errno not in _NO_IPV6:
            raise
    return socket.create_server(("", port))
