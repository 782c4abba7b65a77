"""Messages that are commands: a code, a button, a phrase about permissions or facts, a run of a schedule, an event."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service import texts
from kernel_service.approvals.standing import listed
from kernel_service.inbox.codes import codes_in
from kernel_service.inbox.commands import facts_to_forget
from kernel_service.ports.approvals import DecisionOutcome, StandingPermission
from kernel_service.ports.commands import Command
from kernel_service.ports.payloads import Triggered
from kernel_service.turns.execution.endings import Finished, fixed_reply
from kernel_service.turns.execution.subject import Subject

if TYPE_CHECKING:
    from kernel_service.ports.approvals import Approval
    from kernel_service.ports.resuming import Codes
    from kernel_service.ports.tools import Person
    from kernel_service.ports.triggers import TriggerStore
    from kernel_service.ports.turns import Turn, TurnMessage
    from kernel_service.turns.execution.endings import Ending
    from kernel_service.turns.execution.inputs import TurnInputs
    from kernel_service.turns.execution.recall import Recall
    from kernel_service.turns.execution.schedules import Schedules
    from kernel_service.turns.journal.turn_approvals import TurnApprovals

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Commands:
    """Of one turn: a command is never merged with other messages."""

    turn: Turn
    person: Person
    codes: Codes
    approvals: TurnApprovals
    schedules: Schedules
    triggers: TriggerStore
    inputs: TurnInputs
    recall: Recall

    async def execute(self) -> Subject | Ending | None:
        """The subject for the model, or the ending of the turn; None: the message is no such command."""
        message = self.turn.messages[0]
        match message.command:
            case Command.CODE:
                return await self._confirm(message)
            case Command.APPROVAL:
                return await self._decide(message)
            case Command.REMINDER | Command.SCHEDULE_BUTTON:
                return await self.schedules.execute(message)
            case Command.PERMISSIONS | Command.ASK_AGAIN:
                return await self._list_permissions(message)
            case Command.FACTS | Command.FORGET:
                return await self._list_facts(message)
            case _:
                return await self._without_trigger(message)

    async def _confirm(self, message: TurnMessage) -> Subject | Ending:
        """A code: say what it did, and resume the parked requests."""
        # A message without one was accepted by an earlier release, which required a code alone.
        code = message.payload.code or next(iter(codes_in(message.payload.text)), "")
        confirmed = await self.codes.confirm(self.person, code, message.seq, at=message.accepted_at)
        return Subject(confirmed, preface=confirmed.told) if confirmed.resumed else fixed_reply(confirmed.told)

    async def _decide(self, message: TurnMessage) -> Subject | Ending:
        """A button: make the calls that it approves, or say what else it did."""
        decision = await self.approvals.decide(message)
        log.info("approval decided outcome=%s turn=%s person=%s", decision.outcome, self.turn.id, self.person.id)
        if decision.outcome is DecisionOutcome.APPROVED:
            preface = await self._given(decision.approvals[0]) if decision.stands else ""
            return Subject(approved=decision.approvals, preface=preface)
        text = texts.approvals.WITHOUT_EFFECT.get(decision.outcome, texts.approvals.REFUSED)
        self.inputs.refuse(decision.approvals, text)
        return fixed_reply(text)

    async def _given(self, approval: Approval) -> str:
        given = StandingPermission(approval.tool, approval.account)
        # As it is listed: with what its account is called. It may be revoked already.
        titles = [each.title for each in await self.approvals.standing() if each == given]
        return texts.approvals.permission_given(titles[0] if titles else given.title)

    async def _without_trigger(self, message: TurnMessage) -> Ending | None:
        """Events of a trigger that has ended meanwhile: the person no longer waits for them."""
        content = message.payload.content
        if not isinstance(content, Triggered) or self.turn.begun:
            return None
        watched = {each.id for each in await self.triggers.of_person(self.turn.person_id)}
        return Finished((), fixed=True) if watched.isdisjoint({content.trigger_id, *content.others}) else None

    async def _list_facts(self, message: TurnMessage) -> Ending:
        """List the facts, after the message has removed some of them."""
        if message.command is Command.FACTS:
            return fixed_reply(await self.recall.listed())
        await self.recall.forget(facts_to_forget(message.payload))
        return fixed_reply(texts.memory.forgotten(await self.recall.listed()))

    async def _list_permissions(self, message: TurnMessage) -> Ending:
        """List the standing permissions, after the message has revoked some of them."""
        return fixed_reply(listed(await self.approvals.permissions(message)))
