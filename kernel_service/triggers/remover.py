"""The sweep that removes triggers at the vendor: those of ended accounts, and those that an outage or a crash left."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from kernel_service.connections.accounts import MOST_UNANSWERED, Removal
from kernel_service.connections.sweep_cursor import PAGE_SIZE, SweepCursor

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.triggers import TriggerStore
    from kernel_service.triggers.triggers import Triggers

log = logging.getLogger(__name__)

LAPSE_SECONDS: Final = 600.0
"""Seconds, far longer than a creation takes. A creation that began earlier was interrupted."""


class TriggerRemover:
    """For the node that leads."""

    def __init__(self, triggers: Triggers, store: TriggerStore, clock: Callable[[], float]) -> None:
        self._triggers = triggers
        self._store = store
        self._clock = clock
        self._removing = SweepCursor(clock)

    async def sweep(self) -> None:
        """A refused removal does not block the others; an unavailable vendor is not asked about each trigger."""
        if lapsed := await self._store.lapse(before=self._clock() - LAPSE_SECONDS):
            log.warning("triggers with an interrupted creation are removed count=%d", lapsed)
        due = await self._store.to_remove(after=self._removing.after, limit=PAGE_SIZE)
        ended, unanswered = {each.id: each for each in due}, 0
        for trigger_id in self._removing.eligible(list(ended)):
            removal = await self._triggers.remove_at_vendor(ended[trigger_id])
            unanswered = unanswered + 1 if removal is Removal.UNANSWERED else 0
            if removal is Removal.AWAY or unanswered == MOST_UNANSWERED:
                return
            if removal is Removal.REFUSED:
                self._removing.defer(trigger_id)
