"""How much of the service a channel may have at a time, so that none takes what others need.

What is beyond is refused at once, with RESOURCE_EXHAUSTED and when to call again, and nothing of it is read.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kernel_service.errors import Exhausted

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB: Final = 1024 * 1024
RETRY_SECONDS: Final = 1.0
READ_AT_ONCE: Final = 16
"""Requests of a channel that are being received; each may have 4 MiB."""
BODY_BYTES: Final = 128 * MIB
"""Of the large requests of a channel that have been received and are worked on."""
SMALL_BYTES: Final = 64 * 1024
"""A request that is no larger is not counted: files that wait for their answer must keep no acknowledgement out."""
FILES_AT_ONCE: Final = 200
"""Uploads, and downloads: each holds 192 kB. Of the uploads few are at work, the others wait (media/desk.py)."""
OPEN_AT_ONCE: Final = 500
"""Calls without a token, of all together: health and reflection."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one channel may have at a time: streams of PullReplies, and other calls."""

    pulls: int = 64
    calls: int = 2000


class Room:
    """One per process. A holder is a channel, or an operator."""

    def __init__(self, limits: Limits) -> None:
        self._most = {
            "PullReplies": limits.pulls,
            "UploadMedia": min(FILES_AT_ONCE, limits.calls),
            "DownloadMedia": min(FILES_AT_ONCE, limits.calls),
        }
        self._calls = limits.calls
        self._taken: Counter[tuple[str, str]] = Counter()
        self._bytes: Counter[str] = Counter()
        self._reading: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(READ_AT_ONCE))
        self.refused: Counter[str] = Counter()
        """Calls that found no room, by channel."""

    @contextmanager
    def taken(self, holder: str, rpc: str) -> Iterator[None]:
        """A place for a call, until it ends. An empty holder is nobody. Exhausted CHANNEL_BUSY."""
        kind = rpc if rpc in self._most else ""
        most = self._most.get(rpc, self._calls) if holder else OPEN_AT_ONCE
        place = holder, kind
        if self._taken[place] >= most:
            raise self._full(holder, f"{most} calls of this kind are open already")
        self._taken[place] += 1
        try:
            yield
        finally:
            self._taken[place] -= 1

    def reading(self, holder: str) -> asyncio.Semaphore:
        """To be held while a request is received."""
        return self._reading[holder]

    @contextmanager
    def holding(self, holder: str, size: int) -> Iterator[None]:
        """While a request of so many bytes is worked on. Exhausted CHANNEL_BUSY."""
        if size <= SMALL_BYTES:
            yield
            return
        if self._bytes[holder] + size > BODY_BYTES:
            raise self._full(holder, "too many bytes of requests are worked on already")
        self._bytes[holder] += size
        try:
            yield
        finally:
            self._bytes[holder] -= size

    def _full(self, holder: str, why: str) -> Exhausted:
        self.refused[holder] += 1
        return Exhausted("CHANNEL_BUSY", f"{why}; call again later", retry_after=RETRY_SECONDS)
