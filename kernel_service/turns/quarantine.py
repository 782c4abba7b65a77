"""Quarantine: separates turns whose process crashed from each other, and finally from all other turns.

A crash ends every running turn and does not show which of them caused it. After two crashes a turn is quarantined:
only a few such turns run at once. This is enough for nearly all unrelated turns, since a turn that completes another
step has its crash count reset. After two more crashes a turn is isolated: it runs while no other turn of the process
does, after the process has run without it for a probation period. Only crashes in isolation lead to giving a turn up.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from kernel_service.ports.turns import TurnPlacement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from kernel_service.ports.turns import Quarantined

ISOLATED_FROM: Final = 4
"""Crash count from which a turn is isolated: quarantine beside other turns has not shown the cause."""
MOST_QUARANTINED: Final = 8
"""The most quarantined turns that run at once."""
PROBATION_SECONDS: Final = 3.0
"""How long a process must run before it takes an isolated turn. Doubles with each crash in isolation, so that a crash
with an external cause is rarely attributed to the turn."""
ISOLATION_SECONDS: Final = 10.0
"""How long an isolated turn waits for the other turns to end, and then delays new ones. Doubles with each further
crash, so that a crash late in a turn is also found."""
LONGEST_ISOLATION_SECONDS: Final = 320.0
"""Longer than any turn."""
PAUSE_SECONDS: Final = 0.5
"""How long a turn waits before it asks again for a place that is taken."""


class Quarantine:
    """Places the turns of one process. `clock` returns epoch seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: float | None = None
        self._running = 0
        self._quiet = _set()
        self._open = _set()
        self.beside: AbstractAsyncContextManager[None] = _Beside(self)
        """Runs a turn beside others. Waits while a turn is isolated."""
        self._quarantined = 0
        self._isolation: Isolation | None = None
        self._rest_until = 0.0
        self._never_quiet_within = 0.0

    def placement_of(self, turn: Quarantined) -> TurnPlacement:
        # If the other turns did not end in time once, they are not delayed again for each turn.
        isolated = turn.crash_count >= ISOLATED_FROM and _seconds(turn) > self._never_quiet_within
        return TurnPlacement.ALONE if isolated else TurnPlacement.QUARANTINED

    def free_at(self, turn: Quarantined) -> float:
        """When the turn may start (epoch seconds); a time that has passed means at once."""
        now = self._clock()
        if self.placement_of(turn) is TurnPlacement.QUARANTINED:
            return now + PAUSE_SECONDS if self._quarantined >= MOST_QUARANTINED else now
        if self._isolation is not None:
            return now + PAUSE_SECONDS
        since = now if self._since is None else self._since
        return max(since + PROBATION_SECONDS * 2.0**turn.crashes_alone, self._rest_until)

    async def begin_beside(self) -> None:
        while not self._open.is_set():
            await self._open.wait()
        self._since = self._since or self._clock()
        self._begin()

    @asynccontextmanager
    async def quarantined(self) -> AsyncIterator[None]:
        """Runs a quarantined turn. Check `free_at` first."""
        self._quarantined += 1
        try:
            async with self.beside:
                yield
        finally:
            self._quarantined -= 1

    @asynccontextmanager
    async def isolated(self, turn: Quarantined) -> AsyncIterator[Isolation]:
        """No other turn starts until this block ends. Check `free_at` first."""
        isolation = self._isolation = Isolation(self, _seconds(turn), self._clock())
        self._open.clear()
        try:
            await isolation.wait_for_quiet(self._quiet)
            self._begin()
            try:
                yield isolation
            finally:
                self.end()
        finally:
            self.reopen(isolation)

    def reopen(self, isolation: Isolation) -> None:
        """Let other turns start again. Idempotent."""
        if self._isolation is isolation:
            self._isolation = None
            self._open.set()
            # The other turns then have the process for as long as they were delayed.
            now = self._clock()
            self._rest_until = now + (now - isolation.began_at)
            if isolation.placement is not TurnPlacement.ALONE:
                self._never_quiet_within = max(self._never_quiet_within, isolation.seconds)

    def _begin(self) -> None:
        self._running += 1
        self._quiet.clear()

    def end(self) -> None:
        """A turn does not run any more."""
        self._running -= 1
        if not self._running:
            self._quiet.set()


class _Beside:
    """The block in which a turn runs beside others, for all turns of the process."""

    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine

    async def __aenter__(self) -> None:
        await self._quarantine.begin_beside()

    async def __aexit__(self, *_: object) -> None:
        self._quarantine.end()


class Isolation:
    """A period in which one turn runs alone. `placement`: ALONE if all other turns ended in time, else QUARANTINED."""

    def __init__(self, quarantine: Quarantine, seconds: float, began_at: float) -> None:
        self._quarantine = quarantine
        self.seconds = seconds
        self.began_at = began_at
        self.placement = TurnPlacement.QUARANTINED

    async def wait_for_quiet(self, quiet: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                await quiet.wait()
        except TimeoutError:
            self.end()
        else:
            self.placement = TurnPlacement.ALONE

    async def time_is_up(self) -> None:
        """Return when the isolation period is over."""
        await asyncio.sleep(self.seconds)

    def end(self) -> None:
        self._quarantine.reopen(self)


def _seconds(turn: Quarantined) -> float:
    """The longest isolation of this turn, in seconds."""
    return min(ISOLATION_SECONDS * 2.0 ** (turn.crash_count - ISOLATED_FROM), LONGEST_ISOLATION_SECONDS)


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
