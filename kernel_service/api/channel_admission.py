"""Limits on each channel's concurrent use of the service, so that one channel cannot exhaust it for the others.

Calls beyond a limit are rejected at once, with RESOURCE_EXHAUSTED and a retry time, and their requests are not read.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kernel_service.errors import Exhausted, KernelError
from kernel_service.rate_limits.wait_histogram import Latencies

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB: Final = 1024 * 1024
RETRY_SECONDS: Final = 1.0
READ_AT_ONCE: Final = 16
"""Requests of a channel that are being received; each may have 4 MiB."""
BODY_BYTES: Final = 128 * MIB
"""Total size of a channel's large requests that are being processed."""
SMALL_BYTES: Final = 64 * 1024
"""Smaller requests are not counted, so that files in progress cannot block an acknowledgement."""
FILES_AT_ONCE: Final = 200
"""Uploads, and downloads; each holds 192 kB. A few uploads are active, and the others wait (media/transfers.py)."""
OPEN_AT_ONCE: Final = 100
"""Calls without a token from one address: reflection, and health, by which gateways detect that the service is up."""
_KINDS: Final = {"PullOutbox": "pull", "ServeChannel": "pull", "UploadMedia": "upload", "DownloadMedia": "download"}
"""RPCs of the same kind share a limit; all others are of the kind `call`."""


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """The concurrent calls of one channel: streams of PullOutbox and ServeChannel, and other calls."""

    pulls: int = 64
    calls: int = 2000


class ChannelAdmission:
    """One per process. A holder is a channel, an operator, or the address of a caller without a token."""

    def __init__(self, limits: ChannelLimits) -> None:
        files = min(FILES_AT_ONCE, limits.calls)
        self._most = {"pull": limits.pulls, "upload": files, "download": files, "call": limits.calls}
        self._held: defaultdict[str, ChannelUse] = defaultdict(ChannelUse)
        self.refused: Counter[str] = Counter()
        """Rejected calls by channel; empty: callers without a token."""
        self.seconds = Latencies()
        """Of calls that are no streams, by rpc and status. One over a channel's stream has the name of its rpc."""

    @property
    def open(self) -> Counter[tuple[str, str]]:
        """The number of open calls by channel and kind; an empty channel: callers without a token."""
        found: Counter[tuple[str, str]] = Counter()
        for holder, held in self._held.items():
            for kind, calls in held.calls.items():
                found["" if is_stranger(holder) else holder, kind] += calls
        return found

    @contextmanager
    def call(self, holder: str, rpc: str) -> Iterator[None]:
        """Like `taken`, and the duration of the call is noted."""
        with self.seconds.timed(rpc, "OK", _status_of), self.taken(holder, rpc):
            yield

    @contextmanager
    def taken(self, holder: str, rpc: str) -> Iterator[None]:
        """Reserve a call until it ends. Raises `Exhausted` CHANNEL_BUSY."""
        kind = _KINDS.get(rpc, "call")
        most = OPEN_AT_ONCE if is_stranger(holder) else self._most[kind]
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
        """Hold it while a call's request is received."""
        return self._held[holder].reading

    @contextmanager
    def holding(self, holder: str, size: int) -> Iterator[None]:
        """Count `size` bytes of a request while it is processed. Raises `Exhausted` CHANNEL_BUSY."""
        if size <= SMALL_BYTES:
            yield
            return
        held = self._held[holder]
        if held.bytes + size > BODY_BYTES:
            raise self._full(holder, "too many bytes of requests are being processed already")
        held.bytes += size
        try:
            yield
        finally:
            held.bytes -= size

    def _full(self, holder: str, why: str) -> Exhausted:
        self.refused["" if is_stranger(holder) else holder] += 1
        return Exhausted("CHANNEL_BUSY", f"{why}; call again later", retry_after=RETRY_SECONDS)


class ChannelUse:
    """A holder's current use, while it has an open call."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.bytes = 0
        self.reading = asyncio.Semaphore(READ_AT_ONCE)


def stranger(peer: str) -> str:
    """The holder of a call without a token, by address, so that strangers do not affect each other. `peer` in gRPC's
    form.
    """
    return f"@{peer.rpartition(':')[0]}"


def _status_of(error: Exception) -> str:
    """The name of the gRPC status with which the call ends."""
    return error.status if isinstance(error, KernelError) else "INTERNAL"


def is_stranger(holder: str) -> bool:
    return holder.startswith("@")
