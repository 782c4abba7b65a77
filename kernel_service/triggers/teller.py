"""The tick that puts gathered events into their people's inboxes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.triggers import TriggerLimits, TriggerStore

log = logging.getLogger(__name__)

MOST: Final = 500
"""Triggers in a tick."""


class EventTeller:
    """For the node that leads. `wake(person_id)` reaches the owner of a person; `notify(channel)` the outbox.

    `most_waiting` is how many messages of the service may be answered at the same time.
    """

    def __init__(  # noqa: PLR0917 - its dependencies
        self,
        store: TriggerStore,
        wake: Callable[[str], None],
        notify: Callable[[str], None],
        clock: Callable[[], float],
        limits: TriggerLimits,
        most_waiting: Callable[[], int],
    ) -> None:
        self._store = store
        self._wake = wake
        self._notify = notify
        self._clock = clock
        self._limits = limits
        self._most_waiting = most_waiting

    async def tick(self) -> None:
        """One trigger after the other, so that people's messages commit in between. A full inbox makes events wait."""
        for trigger_id in await self._store.due(now=self._clock(), limit=MOST, most_waiting=self._most_waiting()):
            try:
                await self._tell(trigger_id)
            except KernelError as error:  # such as a missing key of one person
                log.warning("events not yet in the inbox trigger=%s reason=%s", trigger_id, error.reason)

    async def _tell(self, trigger_id: str) -> None:
        limited = texts.triggers.limited(self._limits.daily_messages)
        told = await self._store.tell(trigger_id, now=self._clock(), limits=self._limits, limited=limited)
        if told is None:
            return
        if told.seq is not None:
            log.info("events put into the inbox trigger=%s person=%s", trigger_id, told.person_id)
            self._wake(told.person_id)
        if told.notice_in:
            self._notify(told.notice_in)
