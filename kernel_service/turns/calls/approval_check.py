"""Whether a call needs the person's approval before it is made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel_service.ports.approvals import Approval
from kernel_service.ports.schedules import ScheduleKind
from kernel_service.ports.tools import UnclearCallError
from kernel_service.storable import storable

if TYPE_CHECKING:
    from kernel_service.approvals.policy import ApprovalPolicy
    from kernel_service.ports.model import FunctionCall
    from kernel_service.ports.tools import Person, Tool
    from kernel_service.turns.calls.approval_prompts import ApprovalPrompts
    from kernel_service.turns.calls.titles import Titles
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.interrupt_watcher import InterruptWatcher
    from kernel_service.turns.journal.turn_approvals import TurnApprovals


@dataclass(frozen=True, slots=True)
class ApprovalCheck:
    """Of one turn."""

    person: Person
    policy: ApprovalPolicy
    transcript: Transcript
    approvals: TurnApprovals
    prompts: ApprovalPrompts
    titles: Titles
    interrupts: InterruptWatcher
    unasked: bool
    """The turn began without a request of the person: by an event, a button or a code."""
    scheduled: bool
    """A schedule began the turn."""

    async def defers(self, call: FunctionCall, tool: Tool) -> bool:
        """Whether the call waits for the person's approval, with the other calls of its step.

        UnclearCallError: it is not clear what the person would approve.
        """
        arguments, tainted = call.arguments or {}, self.transcript.tainted
        renews = self._renews_itself(call)
        # A button or a code may continue with the orders of an event.
        unasked = self.unasked and self.transcript.began_tainted
        if not renews and not self.policy(tool, arguments, tainted=tainted, unasked=unasked):
            return False
        may_stand = not tainted and not renews and self.policy.may_stand(tool, arguments)
        if may_stand and await self._stands(call, tool):
            return False
        await self._prompt(call, tool, may_stand=may_stand)
        return True

    def _renews_itself(self, call: FunctionCall) -> bool:
        """Whether a scheduled run makes further turns, which could continue without the person."""
        is_schedule = call.name == "create_schedule" and (call.arguments or {}).get("kind") == ScheduleKind.DO
        return self.scheduled and (is_schedule or call.name == "create_trigger")

    async def account_of(self, call: FunctionCall, tool: Tool) -> str | None:
        """The id of the account that the call uses; None: the account is not clear."""
        try:
            return await tool.account_for(self.person, call.arguments or {})
        except UnclearCallError:
            return None

    async def _stands(self, call: FunctionCall, tool: Tool) -> bool:
        """Whether a standing permission of the person covers this tool with this account."""
        account = await self.account_of(call, tool)
        return account is not None and await self.approvals.stands(call.name, account)

    async def _prompt(self, call: FunctionCall, tool: Tool, *, may_stand: bool) -> None:
        account = await tool.account_for(self.person, call.arguments or {})
        reason = self.policy.reason(tool, call.arguments or {}, tainted=self.transcript.tainted)
        titles = await self.interrupts.wait_for(self.titles.of(call.name, call.arguments or {}))
        titles |= await tool.meanings(self.person, call.arguments or {})
        [[[kept]]] = storable([[[call.arguments]]])  # the prompt shows what the journal keeps, at its depth
        call = replace(call, arguments=kept)
        self.prompts.add(Approval.of(call, tool.schema.title, account, titles, reason), may_stand=may_stand)

    async def prompt_all(self) -> bool:
        """Prompt for the calls of one step together. Returns False if none of them waits."""
        return await self.prompts.put()
