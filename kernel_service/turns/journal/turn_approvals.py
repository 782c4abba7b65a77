"""The approvals of a turn's person, from the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.inbox.commands import asked_again_for, button_in
from kernel_service.ports.approvals import ApprovalDecision, DecisionOutcome
from kernel_service.ports.commands import Command
from kernel_service.turns.journal.store_retries import until_stored

if TYPE_CHECKING:
    from kernel_service.ports.approvals import ApprovalStore, StandingPermission
    from kernel_service.ports.turns import Turn, TurnMessage


@dataclass(frozen=True, slots=True)
class TurnApprovals:
    """Of one turn of a kernel with this epoch."""

    store: ApprovalStore
    turn: Turn
    epoch: int

    async def decide(self, message: TurnMessage) -> ApprovalDecision:
        """The decision of a tapped button. Idempotent within the turn."""
        button = button_in(message.payload)
        if button is None or message.payload.forwarded:
            return ApprovalDecision(DecisionOutcome.FORWARDED)
        return await until_stored(lambda: self.store.decide(self.turn, self.epoch, button, at=message.accepted_at))

    async def stands(self, tool: str, account: str) -> bool:
        """Whether a standing permission covers this."""
        return await until_stored(lambda: self.store.stands(self.turn.person_id, tool, account))

    async def standing(self) -> list[StandingPermission]:
        """All standing permissions of the person, the oldest first."""
        return await until_stored(lambda: self.store.permissions(self.turn.person_id))

    async def permissions(self, message: TurnMessage) -> list[StandingPermission]:
        """The standing permissions, after the person listed them or revoked some of them."""
        if message.command is Command.PERMISSIONS:
            return await self.standing()
        said = asked_again_for(message.payload)
        return await until_stored(lambda: self.store.ask_again(self.turn, self.epoch, said))
