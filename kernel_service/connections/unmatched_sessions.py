"""Verifier sessions that arrived from a browser which was not sent to the vendor: each is rejected afterwards.

Every session is remembered, from any client and in any number. A forgotten one could be a victim's consent, which an
attacker who sent them the link picks up later, at any node. So no limit that a stranger can use up decides what is
remembered: sessions within the rate limits are rows, and those of a flood are gathered, many in one row. Each node
reads these into a filter of fixed size before it trusts a session.
"""

from __future__ import annotations

import asyncio
import mmap
from typing import TYPE_CHECKING, Final

from kernel_service.composio.client import LINK_SECONDS
from kernel_service.connections.tokens import digest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kernel_service.ports.connect_attempts import UnmatchedSessionStore

CONSENT_GRACE_SECONDS: Final = 300.0
"""Seconds after the vendor's link ends during which a consent begun in time may still arrive."""
STARTED_SECONDS: Final = LINK_SECONDS + CONSENT_GRACE_SECONDS
"""How long an attempt may be at the vendor. No session is valid for longer."""

GATHER_SECONDS: Final = 0.05
"""In a flood each node adds at most one row in this time."""
LATE_SECONDS: Final = 30.0
"""Longer than a write may take."""

_BITS: Final = 2**25
_PROBES: Final = 4
"""Each uses four bytes of a digest."""


class RotatingBloomFilter:
    """A Bloom filter in two generations: it never forgets a digest within `seconds`.

    After 500 digests a second for that time, it holds one in 100,000 others by mistake. 4 MB for each generation,
    resident only as it fills.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._generation = 0
        self._new, self._old = _no_bits(), _no_bits()

    def add(self, digest: bytes, now: float) -> None:
        self._age(now)
        for probe in _probes(digest):
            self._new[probe >> 3] |= 1 << (probe & 7)

    def is_rejected(self, digest: bytes, now: float) -> bool:
        self._age(now)
        return any(all(bits[probe >> 3] >> (probe & 7) & 1 for probe in _probes(digest)) for bits in self._both())

    def _both(self) -> tuple[mmap.mmap, mmap.mmap]:
        return self._new, self._old

    def _age(self, now: float) -> None:
        """The old generation holds the period before the current one."""
        passed = int(now // self._seconds) - self._generation
        if passed <= 0:
            return
        self._old = self._new if passed == 1 else _no_bits()
        self._new = _no_bits()
        self._generation += passed


def _no_bits() -> mmap.mmap:
    """Pages of zeros that take no memory until they are written. A bytearray is written as it is made."""
    return mmap.mmap(-1, _BITS // 8, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _probes(digest: bytes) -> list[int]:
    return [int.from_bytes(digest[at : at + 4]) % _BITS for at in range(0, 4 * _PROBES, 4)]


class UnmatchedSessions:
    """A node's view of what all nodes have rejected."""

    def __init__(
        self,
        store: UnmatchedSessionStore,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._filter = RotatingBloomFilter(STARTED_SECONDS)
        self._read_to = 0.0
        self._gathered: set[bytes] = set()
        self._storing = asyncio.Lock()

    async def is_rejected(self, session_uri: str) -> bool:
        rejected = digest(session_uri)
        await self._read()
        return self._filter.is_rejected(rejected, self._clock()) or await self._store.is_known(rejected)

    async def reject(self, session_uri: str, *, as_row: bool) -> None:
        """This node rejects it at once, the others when this returns. `as_row`: the database has room for one more."""
        rejected, now = digest(session_uri), self._clock()
        self._filter.add(rejected, now)
        if as_row:
            await self._store.note(rejected, now=now)
            return
        self._gathered.add(rejected)
        async with self._storing:
            if rejected in self._gathered:  # otherwise another call has stored it
                await self._sleep(GATHER_SECONDS)
                await self._store_gathered()

    async def _store_gathered(self) -> None:
        gathered, self._gathered = self._gathered, set()
        try:
            await self._store.note_many(list(gathered), now=self._clock())
        except BaseException:
            self._gathered |= gathered
            raise

    async def _read(self) -> None:
        """Read what was stored since the last time. Another node may commit a row somewhat after the row's time."""
        now = self._clock()
        after = max(self._read_to - LATE_SECONDS, now - STARTED_SECONDS)
        for rejected in await self._store.noted_since(after):
            self._filter.add(rejected, now)
        self._read_to = now
