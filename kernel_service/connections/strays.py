"""The verifier's sessions that came with a browser which nobody had sent for them: no browser may use one afterwards.

Each is remembered, whoever asks and however many do: one that was forgotten could be somebody's consent, which the
person who sent them the link picks up. So nothing that a stranger can use up decides: those within the door's limits
are rows, all are in a filter of fixed size as well. What the filter alone knows is lost with the process, which leaves
a row at its end that says so: attempts from before a restart are then not trusted any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.composio.client import LINK_SECONDS
from kernel_service.connections.tokens import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.connect_attempts import AttemptStore

CONSENT_GRACE: Final = 300.0
"""Seconds after the vendor's link ends during which a consent begun in time may still come back."""
STARTED_SECONDS: Final = LINK_SECONDS + CONSENT_GRACE
"""How long an attempt may be at the vendor. No session is of use for longer."""

_BITS: Final = 2**25
_PROBES: Final = 4


class DigestFilter:
    """A Bloom filter: never forgets a digest within `seconds`; holds a foreign one by mistake once in 100,000 times
    after 500 a second for as long. 4 MB for each of two generations, touched only as it fills.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._generation = 0
        self._new, self._old = bytearray(_BITS // 8), bytearray(_BITS // 8)

    def add(self, digest: bytes, now: float) -> None:
        self._age(now)
        for probe in _probes(digest):
            self._new[probe >> 3] |= 1 << (probe & 7)

    def holds(self, digest: bytes, now: float) -> bool:
        self._age(now)
        return any(all(bits[probe >> 3] >> (probe & 7) & 1 for probe in _probes(digest)) for bits in self._both())

    def _both(self) -> tuple[bytearray, bytearray]:
        return self._new, self._old

    def _age(self, now: float) -> None:
        """What is in the old generation has been there for a whole period."""
        passed = int(now // self._seconds) - self._generation
        if passed <= 0:
            return
        self._old = self._new if passed == 1 else bytearray(_BITS // 8)
        self._new = bytearray(_BITS // 8)
        self._generation += passed


def _probes(digest: bytes) -> list[int]:
    return [int.from_bytes(digest[at : at + 4]) % _BITS for at in range(0, 4 * _PROBES, 4)]


class Strays:
    def __init__(self, store: AttemptStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._since = clock()
        self._filter = DigestFilter(STARTED_SECONDS)
        self._overflowed: float | None = None
        self._forgotten: bool | None = None

    async def holds(self, session_uri: str) -> bool:
        burnt = digest(session_uri)
        return self._filter.holds(burnt, self._clock()) or await self._store.stray_session(burnt)

    async def burn(self, session_uri: str, *, as_row: bool) -> None:
        """`as_row`: there is room for one more."""
        burnt, now = digest(session_uri), self._clock()
        self._filter.add(burnt, now)
        if as_row:
            await self._store.note_stray_session(burnt, now=now)
        else:
            self._overflowed = now

    async def close(self) -> None:
        """Leave word for the next process."""
        if self._overflowed is not None:
            await self._store.note_stray_session(_mark(_period(self._overflowed)), now=self._clock())

    async def may_have_forgotten(self, started: float) -> bool:
        """Whether a session of an attempt that was sent to the vendor then may be one that a former process burnt."""
        if started >= self._since:
            return False
        if self._forgotten is None:
            self._forgotten = await self._left_by_a_former_process()
        return self._forgotten

    async def _left_by_a_former_process(self) -> bool:
        period = _period(self._since)
        marks = [await self._store.stray_session(_mark(each)) for each in (period, period - 1)]
        return any(marks)


def _period(now: float) -> int:
    return int(now // STARTED_SECONDS)


def _mark(period: int) -> bytes:
    return digest(f"more strays than rows: {period}")
