"""Creates and removes triggers, here and at the vendor, so that a crash in between leaves none behind.

A trigger is stored before the vendor is asked for it, and barred here before the vendor is asked to remove it.
`TriggerRemover` settles the rest.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service import texts
from kernel_service.composio.wire import ComposioRefusedError
from kernel_service.connections.accounts import Removal, not_removed
from kernel_service.errors import Conflict, VendorUnavailable
from kernel_service.ports.triggers import NewTrigger, Trigger, TriggerLimits, TriggerStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from kernel_service.composio.triggers import ComposioTriggers, TriggerType
    from kernel_service.ports.connections import Connection
    from kernel_service.ports.tools import Person
    from kernel_service.ports.triggers import EndedTrigger, TriggerStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Created:
    """`is_new`: the person did not have it before."""

    trigger: Trigger
    is_new: bool


class Triggers:
    """The triggers of all people."""

    def __init__(
        self,
        composio: ComposioTriggers,
        store: TriggerStore,
        clock: Callable[[], float],
        limits: TriggerLimits,
    ) -> None:
        self._composio = composio
        self._store = store
        self._clock = clock
        self._limits = limits

    async def types_of(self, toolkits: Sequence[str]) -> list[TriggerType]:
        """The kinds of events for which accounts of these toolkits can be watched."""
        return [each for types in await asyncio.gather(*map(self._composio.types_of, toolkits)) for each in types]

    async def of_person(self, person_id: str) -> Sequence[Trigger]:
        """The oldest first."""
        return await self._store.of_person(person_id)

    async def create(
        self, person: Person, account: Connection, kind: TriggerType, config: dict[str, Any], request: str
    ) -> Created:
        """Let the vendor watch the account. A repeated call changes nothing.

        ComposioRefusedError: the vendor refuses the settings. VendorUnavailable: nothing was created; UnansweredError:
        it may have been created, and a sweep removes it unless the call is repeated. Exhausted, NotFound, Conflict.
        """
        called = texts.connecting.named(account.toolkit_name, account.name)
        new = NewTrigger(
            kind.slug, config, request, kind.name, called, person.channel, person.address, tainted=person.tainted
        )
        now = self._clock()
        begun = await self._store.begin(account, new, now=now, most=self._limits.triggers)
        if begun.status is TriggerStatus.ACTIVE:
            return Created(begun, is_new=False)
        if begun.status is TriggerStatus.ENDED:
            raise Conflict("TRIGGER_ENDING", "the same one is just being removed; try again in a minute")
        try:
            vendor_id = await self._composio.upsert(kind.slug, account.account_id, account.holder, config)
        except ComposioRefusedError:
            if begun.created_at == now:  # otherwise an earlier attempt may have created it
                await self._store.abandon(begun.id)
            raise
        active = await self._store.activate(begun.id, vendor_id)
        if active is None:
            raise Conflict("TRIGGER_ENDED", "the account was disconnected meanwhile")
        log.info("trigger created trigger=%s person=%s toolkit=%s", active.id, person.id, account.toolkit)
        return Created(active, is_new=active.id == begun.id)

    async def delete(self, person_id: str, trigger_id: str) -> bool:
        """From now on its events are ignored. False: the person has none of this id."""
        ended = await self._store.end(person_id, trigger_id)
        if ended is None:
            return False
        log.info("trigger ended trigger=%s person=%s", trigger_id, person_id)
        await self.remove_at_vendor(ended)
        return True

    async def remove_at_vendor(self, ended: EndedTrigger) -> Removal:
        """Remove an ended trigger at the vendor. If that fails, a later sweep tries again."""
        try:
            if not await self._removed(ended):
                return Removal.UNANSWERED
        except (VendorUnavailable, ComposioRefusedError) as problem:
            log.warning("trigger not removed at the vendor yet trigger=%s problem=%s", ended.id, problem)
            return not_removed(problem)
        await self._store.removed(ended.id)
        return Removal.DONE

    async def _removed(self, ended: EndedTrigger) -> bool:
        """False: it is not yet known which one it is."""
        if ended.vendor_id:
            await self._composio.delete(ended.vendor_id)
            return True
        if not ended.account_id:
            return True
        # The vendor's answer was lost. The new trigger is one of the account's that our store does not have.
        listed = await self._composio.at_account(ended.account_id)
        known = await self._store.known_at(ended.account_id)
        if known is None:
            return False
        for unknown in set(listed) - set(known):
            await self._composio.delete(unknown)
        return True
