"""The vendor's events about triggers: something happened, or a trigger is no longer watched.

Shapes: composio 0.29.0, `core/models/triggers.py`; "Webhook Events" of Composio's API 3.1. The id of an event stays the
same when it is delivered again.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

from kernel_service import texts
from kernel_service.errors import Aborted
from kernel_service.ports.messages import Reply
from kernel_service.ports.triggers import EventOutcome, TriggerEvent
from kernel_service.triggers.event_data import bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kernel_service.connections.accounts import Connections
    from kernel_service.ports.connections import Connection
    from kernel_service.ports.triggers import NewTrigger, TriggerLimits, TriggerStore

log = logging.getLogger(__name__)

DISABLED: Final = "composio.trigger.disabled"
_ID: Final = re.compile(r"[\x21-\x7e]{1,200}")


class TriggerEvents:
    """`notify(channel)` says that the outbox has a notice."""

    def __init__(
        self,
        store: TriggerStore,
        connections: Connections,
        notify: Callable[[str], None],
        clock: Callable[[], float],
        limits: TriggerLimits,
    ) -> None:
        self._store = store
        self._connections = connections
        self._notify = notify
        self._clock = clock
        self._limits = limits

    async def handle(self, event: Mapping[str, Any]) -> None:
        """Returns after the event is stored, or if it is none of ours. Aborted: it must be delivered again."""
        known = event_of(event)
        if known is None:
            log.warning("event of a trigger without its ids")
        elif not await self._is_allowed(known):
            log.info("event of a trigger of no account in use")
        elif event.get("type") == DISABLED:
            await self._disabled(known)
        else:
            await self._happened(known)

    async def watched_for(self, connection: Connection) -> Sequence[str]:
        """The requests for which the account is watched."""
        theirs = await self._store.of_person(connection.person_id)
        return [each.asked.request for each in theirs if each.connection_id == connection.id]

    async def _is_allowed(self, event: TriggerEvent) -> bool:
        connection = await self._connections.in_use(event.account_id, event.holder)
        return connection is not None and self._connections.allows(connection.toolkit)

    async def _happened(self, event: TriggerEvent) -> None:
        outcome = await self._store.receive(event, now=self._clock(), limits=self._limits)
        if outcome is EventOutcome.TOO_EARLY:
            raise Aborted("TRIGGER_UNSETTLED", "a trigger of this account is being created; deliver the event again")
        if outcome is EventOutcome.NOT_OURS:
            log.info("event of an unknown trigger")

    async def _disabled(self, event: TriggerEvent) -> None:
        if channel := await self._store.end_watched(event, _lost, now=self._clock(), limits=self._limits):
            self._notify(channel)


def _lost(asked: NewTrigger) -> Reply:
    return Reply(texts.triggers.lost(asked.name, asked.account))


def event_of(event: Mapping[str, Any]) -> TriggerEvent | None:
    """None: it lacks one of its ids, or one is no id."""
    about = event.get("metadata")
    if not isinstance(about, dict):
        return None
    ids = (event.get("id"), about.get("trigger_id"), about.get("connected_account_id"), about.get("user_id"))
    if not all(isinstance(each, str) and _ID.fullmatch(each) for each in ids):
        return None
    event_id, trigger_id, account_id, holder = map(str, ids)
    return TriggerEvent(event_id, trigger_id, account_id, holder, bounded(event.get("data")))
