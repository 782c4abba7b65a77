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
"""Uploads, and downloads: each holds 192 kB. Of the uploads few are at work, the others wait (media/transfers.py)."""
OPEN_AT_ONCE: Final = 100
"""Calls without a token from one address: health, by which gateways know that we serve, and reflection."""


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """What one channel may have at a time: streams of PullOutbox, and other calls."""

    pulls: int = 64
    calls: int = 2000


class ChannelAdmission:
    """One per process. A holder is a channel, an operator, or the address of a caller without a token."""

    def __init__(self, limits: ChannelLimits) -> None:
        self._most = {
            "PullOutbox": limits.pulls,
            "UploadMedia": min(FILES_AT_ONCE, limits.calls),
            "DownloadMedia": min(FILES_AT_ONCE, limits.calls),
        }
        self._calls = limits.calls
        self._held: defaultdict[str, ChannelUse] = defaultdict(ChannelUse)
        self.refused: Counter[str] = Counter()
        """Calls that found no room, by channel; empty: those without a token."""

    @contextmanager
    def taken(self, holder: str, rpc: str) -> Iterator[None]:
        """A place for a call, until it ends. Exhausted CHANNEL_BUSY."""
        kind = rpc if rpc in self._most else ""
        most = OPEN_AT_ONCE if is_stranger(holder) else self._most.get(rpc, self._calls)
        held = self._held[holder]
        if held.calls[kind] >= most:
            raise self._full(holder, f"{most} calls of this kind are open already")
        held.calls[kind] += 1
        try:
            yield
        finally:
            held.calls[kind] -= 1
            if not held.calls.total():
                self._held.pop(holder, None)

    def reading(self, holder: str) -> asyncio.Semaphore:
        """To be held while a request of a call is received."""
        return self._held[holder].reading

    @contextmanager
    def holding(self, holder: str, size: int) -> Iterator[None]:
        """While a request of so many bytes is worked on. Exhausted CHANNEL_BUSY."""
        if size <= SMALL_BYTES:
            yield
            return
        held = self._held[holder]
        if held.bytes + size > BODY_BYTES:
            raise self._full(holder, "too many bytes of requests are worked on already")
        held.bytes += size
        try:
            yield
        finally:
            held.bytes -= size

    def _full(self, holder: str, why: str) -> Exhausted:
        self.refused["" if is_stranger(holder) else holder] += 1
        return Exhausted("CHANNEL_BUSY", f"{why}; call again later", retry_after=RETRY_SECONDS)


class ChannelUse:
    """What a holder has, for as long as a call of theirs is open."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.bytes = 0
        self.reading = asyncio.Semaphore(READ_AT_ONCE)


def stranger(peer: str) -> str:
    """The holder of a call without a token; `peer` as gRPC names it. So strangers take no room from each other."""
    return f"@{peer.rpartition(':')[0]}"


def is_stranger(holder: str) -> bool:
    return holder.startswith("@")
