"""Judges each connection by its first line. A refused connection never reaches the application.

An HTTP application spends about a millisecond of the event loop on a request, whatever it answers. A refusal here costs
a small part of that, which matters in a flood. The application owns every connection that is let in until it closes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_LINE_SECONDS: Final = 10.0
"""The time limit for the whole first line. Browsers and proxies send it at once."""
LINGERING_SECONDS: Final = 2.0
"""How long a refused connection stays open for the rest of its request, so that its sender sees the answer."""
MOST_BYTES: Final = 8190
"""The longest line that aiohttp accepts. The application refuses a longer one."""


class FirstLook(asyncio.Protocol):
    """Handles one connection until its first line is judged.

    `refuses` returns the whole answer to a first line, or None to let the connection in.
    """

    def __init__(self, refuses: Callable[[bytes], bytes | None], application: Callable[[], asyncio.Protocol]) -> None:
        self._refuses = refuses
        self._application = application
        self._received = b""
        self._is_refused = False
        self._transport: asyncio.Transport
        self._too_late: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._end_in(FIRST_LINE_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._received += data
        line, newline, _ = self._received.partition(b"\n")
        if not newline and len(line) <= MOST_BYTES:
            return
        self._too_late.cancel()
        if (refusal := self._refuses(line)) is None:
            self._let_in()
        else:
            self._refuse(refusal)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._too_late.cancel()

    def _let_in(self) -> None:
        application = self._application()
        self._transport.set_protocol(application)
        application.connection_made(self._transport)
        application.data_received(self._received)

    def _refuse(self, refusal: bytes) -> None:
        self._is_refused, self._received = True, b""
        self._transport.write(refusal)
        self._transport.write_eof()
        self._end_in(LINGERING_SECONDS)

    def _end_in(self, seconds: float) -> None:
        self._too_late = asyncio.get_running_loop().call_later(seconds, self._transport.abort)
