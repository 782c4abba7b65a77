"""The start of an attempt: the inputs, or the place where an earlier attempt was interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.ports.progress import Merged
from kernel_service.turns.context.found_tools import found_tools

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.turns import Turn
    from kernel_service.turns.calls.available_tools import AvailableTools
    from kernel_service.turns.calls.tool_calls import ToolCalls
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.execution.inputs import TurnInputs
    from kernel_service.turns.execution.recall import Recall
    from kernel_service.turns.execution.reports import TurnReports
    from kernel_service.turns.execution.subject import Subject
    from kernel_service.turns.journal.turn_journal import TurnJournal


@dataclass(slots=True)
class TurnStart:
    """Of one turn. After `begin` the model can be asked."""

    turn: Turn
    transcript: Transcript
    inputs: TurnInputs
    recall: Callable[[], Recall]
    tools: AvailableTools
    calls: Callable[[], ToolCalls]
    journal: TurnJournal
    reports: TurnReports

    async def begin(self, subject: Subject) -> None:
        turn = self.turn
        if not turn.begun:
            await self.inputs.add(subject)
            await self._recall()
        if len(turn.messages) > 1:
            self.reports.happened(Merged(turn.id))
        await self.tools.fetch(approved=subject.approved, found=found_tools(self.transcript))
        if self.transcript.open_calls():
            await self.calls().finish_cut(turn.intents, subject.approved)
        if await self.journal.make_room():
            await self._recall()

    async def _recall(self) -> None:
        if self.turn.has_facts:
            await self.recall().show()
