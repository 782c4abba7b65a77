"""Limits on each channel's concurrent use of the service, so that one channel cannot exhaust it for the others.

Calls beyond a limit are rejected at once, with RESOURCE_EXHAUSTED and a retry time, and their requests are not read.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from kernel_service.errors import Exhausted, KernelError
from kernel_service.rate_limits.wait_histogram import Latencies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

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
_TOO_MANY_BYTES: Final = "too many bytes of requests are being processed already"


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
        self._most_of_strangers = dict.fromkeys(self._most, OPEN_AT_ONCE)
        self.held: dict[str, ChannelUse] = {}
        """By holder, while it has an open call."""
        self.refused: Counter[str] = Counter()
        """Rejected calls by channel; empty: callers without a token."""
        self.seconds = Latencies()
        """Of calls other than streams, by rpc and status. A call over a channel's stream has the name of its rpc."""

    @property
    def open(self) -> Counter[tuple[str, str]]:
        """The number of open calls by channel and kind; an empty channel: callers without a token."""
        found: Counter[tuple[str, str]] = Counter()
        for holder, held in self.held.items():
            for kind, calls in held.calls.items():
                found["" if is_stranger(holder) else holder, kind] += calls
        return found

    def call(self, holder: str, rpc: str, size: int = 0) -> AdmittedCall:
        """Like `taken`, and the duration of the call is noted. `size`: the bytes of its request, if it is known."""
        return AdmittedCall(self, holder, rpc, self.seconds, time.monotonic(), size if size > SMALL_BYTES else 0)

    def taken(self, holder: str, rpc: str) -> AdmittedCall:
        """Reserve a call for the duration of the block. Raises `Exhausted` CHANNEL_BUSY."""
        return AdmittedCall(self, holder, rpc)

    def use_of(self, holder: str) -> ChannelUse:
        """The holder's current use, which lasts until its last call ends."""
        held = self.held.get(holder)
        if held is None:
            held = self.held[holder] = ChannelUse(self._most_of_strangers if is_stranger(holder) else self._most)
        return held

    def reading(self, holder: str) -> asyncio.Semaphore:
        """Hold it while a call's request is received."""
        return self.use_of(holder).reading

    def holding(self, holder: str, size: int) -> AbstractContextManager[None]:
        """Count `size` bytes of a request while it is processed. Raises `Exhausted` CHANNEL_BUSY."""
        return _NOT_COUNTED if size <= SMALL_BYTES else self._counting(holder, size)

    @contextmanager
    def _counting(self, holder: str, size: int) -> Iterator[None]:
        held = self.use_of(holder)
        if held.bytes + size > BODY_BYTES:
            raise self.full(holder, _TOO_MANY_BYTES)
        held.bytes += size
        try:
            yield
        finally:
            held.bytes -= size

    def full(self, holder: str, why: str) -> Exhausted:
        self.refused["" if is_stranger(holder) else holder] += 1
        return Exhausted("CHANNEL_BUSY", f"{why}; call again later", retry_after=RETRY_SECONDS)


class AdmittedCall(NamedTuple):
    """One call inside the block. `seconds` gets its duration, from `began` on; None: it is a stream.

    `size`: the bytes of its request that are counted meanwhile.
    """

    admission: ChannelAdmission
    holder: str
    rpc: str
    seconds: Latencies | None = None
    began: float = 0.0
    size: int = 0

    def __enter__(self) -> None:
        use, kind = self.admission.use_of(self.holder), _KINDS.get(self.rpc, "call")
        if use.calls[kind] >= use.most[kind]:
            raise self._refused(f"{use.most[kind]} calls of this kind are open already")
        if self.size and use.bytes + self.size > BODY_BYTES:
            raise self._refused(_TOO_MANY_BYTES)
        use.bytes += self.size
        use.calls[kind] += 1
        use.open += 1

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        use = self.admission.held[self.holder]
        use.calls[_KINDS.get(self.rpc, "call")] -= 1
        use.open -= 1
        use.bytes -= self.size
        if not use.open:
            del self.admission.held[self.holder]
        self._note(error)

    def _refused(self, why: str) -> Exhausted:
        full = self.admission.full(self.holder, why)
        self._note(full)
        return full

    def _note(self, error: BaseException | None) -> None:
        if self.seconds is not None:
            status = "OK" if error is None else _status_of(error)
            self.seconds[self.rpc, status].note(time.monotonic() - self.began)


_NOT_COUNTED: Final = nullcontext()


class ChannelUse:
    """A holder's current use, while it has an open call. `most`: open calls by kind."""

    def __init__(self, most: Mapping[str, int]) -> None:
        self.most = most
        self.calls: Counter[str] = Counter()
        self.open = 0
        """Calls of all kinds."""
        self.bytes = 0
        self.reading = asyncio.Semaphore(READ_AT_ONCE)


def stranger(peer: str) -> str:
    """The holder of a call without a token, by address, so that strangers do not affect each other. `peer` in gRPC's
    form.
    """
    return f"@{peer.rpartition(':')[0]}"


def _status_of(error: BaseException) -> str:
    """The name of the gRPC status with which the call ends."""
    if isinstance(error, KernelError):
        return error.status
    return "INTERNAL" if isinstance(error, Exception) else "cancelled"


def is_stranger(holder: str) -> bool:
    return holder.startswith("@")
