"""The start of an attempt: the inputs, or the place where an earlier attempt was cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.ports.progress import Merged

if TYPE_CHECKING:
    from kernel_service.kernels.history import History
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.calls.available_tools import AvailableTools
    from kernel_service.turns.calls.tool_calls import ToolCalls
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.execution.inputs import TurnInputs
    from kernel_service.turns.execution.reports import TurnReports
    from kernel_service.turns.execution.subject import Subject
    from kernel_service.turns.journal.turn_journal import TurnJournal


class TurnStart:
    """Of one turn. After `begin` the model can be asked."""

    def __init__(  # noqa: PLR0917 - all that has to be ready
        self,
        turn: Turn,
        history: History,
        transcript: Transcript,
        inputs: TurnInputs,
        tools: AvailableTools,
        calls: ToolCalls,
        journal: TurnJournal,
        reports: TurnReports,
    ) -> None:
        self._turn = turn
        self._history = history
        self._transcript = transcript
        self._inputs = inputs
        self._tools = tools
        self._calls = calls
        self._journal = journal
        self._reports = reports

    async def begin(self, subject: Subject) -> None:
        turn = self._turn
        if not turn.begun:
            await self._inputs.add(subject)
        if len(turn.messages) > 1:
            self._reports.happened(Merged(turn.id))
        await self._tools.fetch(approved=subject.approved)
        await self._calls.finish_cut(turn.intents, subject.approved)
        await self._make_room()

    async def _make_room(self) -> None:
        """A full context is halved once: one that slid with each turn would miss the vendor's cache."""
        limit = self._transcript.limit
        full = self._history.size > limit and self._transcript.tokens() > limit
        if full and self._transcript.forget_older(limit // 2):
            await self._journal.shrink()
