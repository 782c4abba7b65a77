"""A minimal HTTP/1.1 server for a vendor's client: persistent connections, JSON in both directions."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_HEAD_END = b"\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class Conversation(asyncio.Protocol):
    """`answer` makes a JSON body from a request's path and body. It is sent `delay(path)` seconds later."""

    def __init__(self, answer: Callable[[bytes, bytes], bytes], delay: Callable[[bytes], float]) -> None:
        self._make_answer = answer
        self._delay = delay
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (request := self._next()) is not None:
            body = self._make_answer(*request)
            answer = _ANSWER % (len(body), body)
            if delay := self._delay(request[0]):
                asyncio.get_running_loop().call_later(delay, self._write, answer)
            else:
                self._write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():  # the client may have closed the connection meanwhile
            self._transport.write(answer)

    def _next(self) -> tuple[bytes, bytes] | None:
        head, end, rest = self._received.partition(_HEAD_END)
        if not end:
            return None
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        if len(rest) < length:
            return None
        self._received = rest[length:]
        return head.split(b" ", 2)[1], rest[:length]
