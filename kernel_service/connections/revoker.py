"""Removes at the tools' vendor the accounts and triggers of deleted people, and unused sessions."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from kernel_service.composio.wire import ComposioRefusedError
from kernel_service.connections.accounts import MOST_UNANSWERED, Removal, not_removed
from kernel_service.connections.sweep_cursor import PAGE_SIZE, SweepCursor
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.deletion import RevocationKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.composio.client import Composio
    from kernel_service.composio.triggers import ComposioTriggers
    from kernel_service.ports.deletion import Revocation, RevocationStore

log = logging.getLogger(__name__)


class Revoker:
    """For the node that leads. A later sweep repeats a removal that failed."""

    def __init__(
        self,
        composio: Composio,
        triggers: ComposioTriggers,
        store: RevocationStore,
        clock: Callable[[], float],
    ) -> None:
        self._composio = composio
        self._triggers = triggers
        self._store = store
        self._cursor = SweepCursor(clock)

    async def sweep(self) -> None:
        """A refused removal does not block the others; an unavailable vendor is not asked about each."""
        due = await self._store.due(after=self._cursor.after, limit=PAGE_SIZE)
        owed, unanswered = {each.vendor_id: each for each in due}, 0
        for vendor_id in self._cursor.eligible(list(owed)):
            removal = await self._remove(owed[vendor_id])
            unanswered = unanswered + 1 if removal is Removal.UNANSWERED else 0
            if removal is Removal.AWAY or unanswered == MOST_UNANSWERED:
                return
            if removal is Removal.REFUSED:
                self._cursor.defer(vendor_id)

    async def _remove(self, owed: Revocation) -> Removal:
        try:
            await self._remove_there(owed)
        except (VendorUnavailable, ComposioRefusedError) as problem:
            log.warning("unused %s is not removed at the vendor yet problem=%s", owed.kind, problem)
            return not_removed(problem)
        await self._store.done(owed.vendor_id)
        log.info("unused %s removed at the vendor", owed.kind)
        return Removal.DONE

    async def _remove_there(self, owed: Revocation) -> None:
        match owed.kind:
            case RevocationKind.ACCOUNT:
                with suppress(ComposioRefusedError):  # an account that is not known there has none
                    for trigger_id in await self._triggers.at_account(owed.vendor_id):
                        await self._triggers.delete(trigger_id)
                await self._composio.delete_account(owed.vendor_id)
            case RevocationKind.TRIGGER:
                await self._triggers.delete(owed.vendor_id)
            case RevocationKind.SESSION:
                await self._composio.delete_session(owed.vendor_id)
