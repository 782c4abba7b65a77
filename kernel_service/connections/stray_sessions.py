"""Verifier sessions that came with a browser which was not sent to the vendor: each is rejected afterwards.

Every session is remembered, from any client and in any number. A forgotten one could be a victim's consent, which an
attacker who sent them the link picks up later. So no limit that a stranger can use up decides what is remembered:
sessions within the rate limits are rows, and all are in a filter of fixed size as well. Sessions that only the filter
knows are lost with the process, which leaves a row at its end that says so. Attempts from before a restart are then
not trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.composio.client import LINK_SECONDS
from kernel_service.connections.tokens import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.connect_attempts import StraySessionStore

CONSENT_GRACE_SECONDS: Final = 300.0
"""Seconds after the vendor's link ends during which a consent begun in time may still come back."""
STARTED_SECONDS: Final = LINK_SECONDS + CONSENT_GRACE_SECONDS
"""How long an attempt may be at the vendor. No session is of use for longer."""

_BITS: Final = 2**25
_PROBES: Final = 4


class RotatingBloomFilter:
    """A Bloom filter in two generations: it never forgets a digest within `seconds`.

    After 500 digests a second for that time, it holds one in 100,000 others by mistake. 4 MB for each generation,
    touched only as it fills.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._generation = 0
        self._new, self._old = bytearray(_BITS // 8), bytearray(_BITS // 8)

    def add(self, digest: bytes, now: float) -> None:
        self._age(now)
        for probe in _probes(digest):
            self._new[probe >> 3] |= 1 << (probe & 7)

    def is_rejected(self, digest: bytes, now: float) -> bool:
        self._age(now)
        return any(all(bits[probe >> 3] >> (probe & 7) & 1 for probe in _probes(digest)) for bits in self._both())

    def _both(self) -> tuple[bytearray, bytearray]:
        return self._new, self._old

    def _age(self, now: float) -> None:
        """The old generation holds the period before the current one."""
        passed = int(now // self._seconds) - self._generation
        if passed <= 0:
            return
        self._old = self._new if passed == 1 else bytearray(_BITS // 8)
        self._new = bytearray(_BITS // 8)
        self._generation += passed


def _probes(digest: bytes) -> list[int]:
    return [int.from_bytes(digest[at : at + 4]) % _BITS for at in range(0, 4 * _PROBES, 4)]


class StraySessions:
    def __init__(self, store: StraySessionStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._since = clock()
        self._filter = RotatingBloomFilter(STARTED_SECONDS)
        self._overflowed: float | None = None
        self._forgotten: bool | None = None

    async def is_rejected(self, session_uri: str) -> bool:
        rejected = digest(session_uri)
        return self._filter.is_rejected(rejected, self._clock()) or await self._store.is_known(rejected)

    async def reject(self, session_uri: str, *, as_row: bool) -> None:
        """`as_row`: the database has room for one more."""
        rejected, now = digest(session_uri), self._clock()
        self._filter.add(rejected, now)
        if as_row:
            await self._store.note(rejected, now=now)
        else:
            self._overflowed = now

    async def close(self) -> None:
        """Tell the next process if the filter knew more than the database does."""
        if self._overflowed is not None:
            await self._store.note(_mark(_period(self._overflowed)), now=self._clock())

    async def may_have_forgotten(self, started: float) -> bool:
        """Whether an attempt of the time `started` may bring a session that only a former process had rejected."""
        if started >= self._since:
            return False
        if self._forgotten is None:
            self._forgotten = await self._left_by_a_former_process()
        return self._forgotten

    async def _left_by_a_former_process(self) -> bool:
        period = _period(self._since)
        marks = [await self._store.is_known(_mark(each)) for each in (period, period - 1)]
        return any(marks)


def _period(now: float) -> int:
    return int(now // STARTED_SECONDS)


def _mark(period: int) -> bytes:
    return digest(f"more strays than rows: {period}")  # language: ok
