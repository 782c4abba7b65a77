"""The tick of schedules: puts due runs into the inbox, slowly enough not to delay people's own messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.schedules import ScheduleStore

RUNS_AT_ONCE: Final = 8
"""Schedules in one transaction, which delays the writes of others."""
STEPS: Final = 4
"""Transactions of one tick. The rest of a busy minute follows at the next tick."""


class ScheduleTicker:
    """`arrived` is called with each person who has a new message.

    `most_waiting` is how many runs other than reminders may be answered at the same time.
    """

    def __init__(
        self,
        store: ScheduleStore,
        arrived: Callable[[str], None],
        clock: Callable[[], float],
        most_waiting: Callable[[], int],
    ) -> None:
        self._store = store
        self._arrived = arrived
        self._clock = clock
        self._most_waiting = most_waiting

    async def tick(self) -> None:
        """Once a second."""
        for _ in range(STEPS):
            ran = await self._store.run_due(now=self._clock(), limit=RUNS_AT_ONCE, most_waiting=self._most_waiting())
            for person_id in ran.people:
                self._arrived(person_id)
            if ran.is_all:
                return
