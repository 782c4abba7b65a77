"""The tool calls of a turn, each with its result in the journal, and the calls that a crash left open."""

from __future__ import annotations

import asyncio
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Final

from kernel_service.ports.messages import Usage
from kernel_service.ports.progress import ConnectNeeded, ToolFinished, ToolStarted
from kernel_service.ports.tools import OUTCOME_UNKNOWN, UnclearCallError
from kernel_service.ports.turns import ToolUse
from kernel_service.storable import storable_text
from kernel_service.token_counts import cut
from kernel_service.turns.calls.call_execution import own_result
from kernel_service.turns.calls.tool_files import keep_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from kernel_service.ports.approvals import Approval
    from kernel_service.ports.model import FunctionCall
    from kernel_service.ports.progress import Event
    from kernel_service.ports.tools import Tool, ToolResult
    from kernel_service.ports.turns import CallRecord
    from kernel_service.turns.calls.approval_check import ApprovalCheck
    from kernel_service.turns.calls.available_tools import AvailableTools
    from kernel_service.turns.calls.call_execution import CallExecution
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.interrupt_watcher import InterruptWatcher
    from kernel_service.turns.journal.produced_files import ProducedFiles
    from kernel_service.turns.journal.turn_journal import TurnJournal

NOT_MADE: Final = "Not done: the outcome of the previous call is unknown. Check it first, then call again."
GONE: Final = "Not done: the person has no such tool any more, or not with the account that they approved."
MOST_OUTPUT_TOKENS: Final = 20_000
"""The most tokens of a tool's output that are kept, estimated: 60,000 characters of English."""
LEFT_OUT: Final = "\n[… {count} characters left out: the output was too long. Ask for less at once. …]\n"
MOST_CALLS: Final = 64
"""In one answer."""
TOO_MANY_CALLS: Final = f"Not done: there were more than {MOST_CALLS} calls at once. Make fewer at a time."


class InDoubtError(Exception):
    """A call that a dead process made may still be under way, until `until` (epoch seconds)."""

    def __init__(self, until: float) -> None:
        super().__init__(until)
        self.until = until


@dataclass(slots=True)
class ToolCalls:
    """Makes the calls of one turn. `call_of` reads a call from the model's item.

    `tell` receives the events, and `tool_ended` the seconds of each call.
    """

    tools: AvailableTools
    transcript: Transcript
    journal: TurnJournal
    files: ProducedFiles
    interrupts: InterruptWatcher
    approvals: ApprovalCheck
    execution: CallExecution
    _: KW_ONLY
    call_of: Callable[[dict[str, Any]], FunctionCall]
    tell: Callable[[Event], None]
    tool_ended: Callable[[float], None]
    clock: Callable[[], float]
    _unsure: bool = field(init=False, default=False)

    async def finish_cut(self, intents: Sequence[CallRecord], approved: Sequence[Approval]) -> None:
        """Resolve the calls that a crash left open. A call with a stored intent may have been done, any other was not.

        InDoubtError: the call may still be in progress. Later calls may depend on a call whose outcome is unknown, so
        the model must check that outcome first. Only calls that the person has `approved` are made without a prompt.
        """
        begun = {intent.call_id: intent for intent in intents}
        granted = {approval.approved_call_id: approval for approval in approved}
        # The turn may have been interrupted again after that.
        self._unsure = OUTCOME_UNKNOWN in self.transcript.results_so_far()
        for call in map(self.call_of, self.transcript.open_calls()):
            if (intent := begun.get(call.call_id)) is None:
                await self._make(call, granted.get(call.call_id))
            elif (until := intent.started_at + self.tools.longest_call(call.name)) > self.clock():
                raise InDoubtError(until)
            else:
                used = ToolUse(call.name, failed=True, seconds=0.0)
                await self._keep(call, own_result(OUTCOME_UNKNOWN), used)
        await self._prompt_for_approvals()

    async def make_all(self, calls: Sequence[FunctionCall]) -> None:
        """Make the calls of one answer, in order, and keep their results. Calls beyond MOST_CALLS are not made."""
        self._unsure = False
        for call in calls[:MOST_CALLS]:
            await self._make(call)
        for call in calls[MOST_CALLS:]:
            self.transcript.result(call.call_id, own_result(TOO_MANY_CALLS))
        await self._prompt_for_approvals()

    async def _make(self, call: FunctionCall, approval: Approval | None = None) -> None:
        """`approval`: the person's, for exactly this call. A call id alone proves no approval: models see the ids."""
        await self.interrupts.check()
        tool = self.tools.get(call.name)
        if tool is None or (approval and await self.approvals.account_of(call, tool) != approval.account):
            gone = GONE if approval else f"Not done: there is no tool named {call.name}."
            return await self._keep(call, own_result(gone))
        if call.arguments is None:
            return await self._keep(call, own_result("Not done: the arguments are not a JSON object."))
        if self._unsure and not tool.read_only:
            return await self._keep(call, own_result(NOT_MADE))
        try:
            if approval is None and await self.approvals.defers(call, tool):
                return None
        except UnclearCallError as unclear:
            return await self._keep(call, own_result(unclear.sentence))
        return await self._run(call, tool, approved=approval is not None)

    async def _run(self, call: FunctionCall, tool: Tool, *, approved: bool) -> None:
        self.tell(ToolStarted(call.call_id, call.name))
        began = asyncio.get_running_loop().time()
        try:
            result = await self.execution.run(tool, call, approved=approved)
        finally:
            seconds = asyncio.get_running_loop().time() - began
            self.tool_ended(seconds)
        await self._keep(call, result, ToolUse(call.name, failed=not result.ok, seconds=seconds))
        self.tell(ToolFinished(call.call_id, succeeded=result.ok))
        self.tools.add_found(result.found)

    async def _prompt_for_approvals(self) -> None:
        if await self.approvals.prompt_all():
            await self.journal.step(Usage())

    async def _keep(self, call: FunctionCall, result: ToolResult, used: ToolUse | None = None) -> None:
        self._unsure = self._unsure or result.output == OUTCOME_UNKNOWN
        files, told = await keep_all(result.files, self.files, len(self.transcript.for_the_person().files))
        output = cut(storable_text(result.output), MOST_OUTPUT_TOKENS, LEFT_OUT)
        kept = replace(result, output="\n".join((output, *told)))
        self.transcript.result(call.call_id, kept, files)
        await self.journal.step(Usage(tool_calls=1), finished=call.call_id, used=used)
        if result.link is not None:
            self.tell(ConnectNeeded(str((call.arguments or {}).get("toolkit", "")), result.link))
