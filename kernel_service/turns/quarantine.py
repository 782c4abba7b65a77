"""Quarantine: turns in which processes crashed are kept from each other, and at last from all others.

A crash takes every turn down that ran, and tells nothing about which of them was at fault. So from two crashes on a
turn is quarantined: few of its kind run at once. That is enough for nearly all unrelated turns, since whatever gets
one step further is forgiven. One that crashed twice more is isolated: it runs while no other turn of the process does,
after the process has shown for a while that it lives without it. Only a crash in isolation counts towards giving it up.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from kernel_service.ports.turns import TurnPlacement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from kernel_service.ports.turns import Quarantined

ISOLATED_FROM: Final = 4
"""So many crashes: those of a quarantined turn beside others have not told."""
WARD_BEDS: Final = 8
"""So many quarantined turns run at once."""
PROBATION_SECONDS: Final = 3.0
"""So long a process must have lived without an isolated turn, twice as long after each crash in isolation: whatever
kills processes from outside is hardly ever taken for the turn's doing."""
ISOLATION_SECONDS: Final = 10.0
"""So long the others are waited for, and then kept waiting; twice as long with each further crash, so that what crashes
late in a turn is found, too."""
LONGEST_ISOLATION_SECONDS: Final = 320.0
"""Longer than any turn."""
PAUSE_SECONDS: Final = 0.5
"""How soon a turn asks again for a place that is taken."""


class Quarantine:
    """The rooms of one process. `clock` gives epoch seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: float | None = None
        self._running = 0
        self._quiet = _set()
        self._open = _set()
        self._in_ward = 0
        self._isolation: Isolation | None = None
        self._rest_until = 0.0
        self._never_quiet_within = 0.0

    def room_of(self, turn: Quarantined) -> TurnPlacement:
        # Where the others did not end in time they are not asked to wait for each turn anew.
        isolated = turn.crash_count >= ISOLATED_FROM and _seconds(turn) > self._never_quiet_within
        return TurnPlacement.ALONE if isolated else TurnPlacement.WARD

    def free_at(self, turn: Quarantined) -> float:
        """When the turn may go to its room (epoch seconds); now or earlier: at once."""
        now = self._clock()
        if self.room_of(turn) is TurnPlacement.WARD:
            return now + PAUSE_SECONDS if self._in_ward >= WARD_BEDS else now
        if self._isolation is not None:
            return now + PAUSE_SECONDS
        since = now if self._since is None else self._since
        return max(since + PROBATION_SECONDS * 2.0**turn.crashes_alone, self._rest_until)

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Where all others run: not entered while a turn is isolated."""
        while not self._open.is_set():
            await self._open.wait()
        self._since = self._since or self._clock()
        with self._counted():
            yield

    @asynccontextmanager
    async def ward(self) -> AsyncIterator[None]:
        """Where quarantined turns run; ask `free_at` before."""
        self._in_ward += 1
        try:
            async with self.beside():
                yield
        finally:
            self._in_ward -= 1

    @asynccontextmanager
    async def isolated(self, turn: Quarantined) -> AsyncIterator[Isolation]:
        """Nobody else begins a turn until it ends; ask `free_at` before."""
        isolation = self._isolation = Isolation(self, _seconds(turn), self._clock())
        self._open.clear()
        try:
            await isolation.wait_for_quiet(self._quiet)
            with self._counted():
                yield isolation
        finally:
            self.reopen(isolation)

    def reopen(self, isolation: Isolation) -> None:
        """The others may begin turns again. Again is no harm."""
        if self._isolation is isolation:
            self._isolation = None
            self._open.set()
            # The others have the process for as long as they were kept waiting.
            now = self._clock()
            self._rest_until = now + (now - isolation.began_at)
            if isolation.room is not TurnPlacement.ALONE:
                self._never_quiet_within = max(self._never_quiet_within, isolation.seconds)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._running += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._quiet.set()


class Isolation:
    """A turn's time without others. `room` is ALONE if they had all ended in time, else it runs beside them."""

    def __init__(self, quarantine: Quarantine, seconds: float, began_at: float) -> None:
        self._quarantine = quarantine
        self.seconds = seconds
        self.began_at = began_at
        self.room = TurnPlacement.WARD

    async def wait_for_quiet(self, quiet: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                await quiet.wait()
        except TimeoutError:
            self.end()
        else:
            self.room = TurnPlacement.ALONE

    async def time_is_up(self) -> None:
        """Return when the turn has had its time."""
        await asyncio.sleep(self.seconds)

    def end(self) -> None:
        self._quarantine.reopen(self)


def _seconds(turn: Quarantined) -> float:
    """How long a turn is isolated at most."""
    return min(ISOLATION_SECONDS * 2.0 ** (turn.crash_count - ISOLATED_FROM), LONGEST_ISOLATION_SECONDS)


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
