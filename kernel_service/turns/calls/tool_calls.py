"""The tool calls of a turn: an intent before what changes something, a result after, and what a crash left open."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.ports.approvals import Approval
from kernel_service.ports.messages import Usage
from kernel_service.ports.progress import ConnectNeeded, ToolFinished, ToolStarted
from kernel_service.ports.tools import OUTCOME_UNKNOWN, ToolResult, UnclearCallError
from kernel_service.ports.turns import ToolUse
from kernel_service.storable import storable, storable_text
from kernel_service.token_counts import cut
from kernel_service.tool_schemas import MOST_OFFERED_BYTES, size_of
from kernel_service.turns.calls.approval_prompts import ApprovalPrompts
from kernel_service.turns.calls.refused_tools import MOST_OFFERED
from kernel_service.turns.calls.tool_files import keep_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kernel_service.approvals.policy import ApprovalPolicy
    from kernel_service.ports.model import FunctionCall, Model, ModelRejectedError, ToolSchema
    from kernel_service.ports.progress import Event
    from kernel_service.ports.tools import Person, Tool
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.calls.refused_tools import OfferedTools
    from kernel_service.turns.calls.titles import Titles
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.interrupt_watcher import InterruptWatcher
    from kernel_service.turns.journal.turn_journal import TurnJournal

log = logging.getLogger(__name__)

NOT_MADE: Final = "Not done: the outcome of the call before it is unknown. Look first, and then call again."
GONE: Final = "Not done: the person has no such tool any more, or not with the account that they approved it for."
MOST_OUTPUT_TOKENS: Final = 20_000
"""Of a tool's output, about, that is kept: 60,000 characters of English."""
LEFT_OUT: Final = "\n[… {count} characters are left out here: the output was too long. Ask for less at once. …]\n"
MOST_CALLS: Final = 64
"""Of one answer."""
TOO_MANY_CALLS: Final = f"Not done: there were more than {MOST_CALLS} calls at once. Make fewer at a time."
LONGEST_CALL_SECONDS: Final = 75.0
"""What is assumed of a cut call whose tool is no longer offered."""


class InDoubtError(Exception):
    """A call that a dead process made may still be under way, until `until` (epoch seconds)."""

    def __init__(self, until: float) -> None:
        super().__init__(until)
        self.until = until


class ToolCalls:
    """Makes the calls of one turn, with the tools that the person has in it."""

    def __init__(
        self,
        person: Person,
        transcript: Transcript,
        journal: TurnJournal,
        attention: InterruptWatcher,
        tell: Callable[[Event], None],
        *,
        asks_first: ApprovalPolicy,
        offered: OfferedTools,
        titles: Titles,
    ) -> None:
        self._person = person
        self._transcript = transcript
        self._journal = journal
        self._attention = attention
        self._tell = tell
        self._asks_first = asks_first
        self._offered = offered
        self._titles = titles
        self._asking = ApprovalPrompts(transcript, journal.keep_file)
        self._approved: dict[str, Approval] = {}
        self._tools: dict[str, Tool] = {}
        self._found: list[str] = []
        self._unsure = False
        self._offering = True

    def offer(self, tools: Iterable[Tool]) -> None:
        self._tools.update({tool.schema.name: tool for tool in tools})

    def _find(self, found: Iterable[Tool]) -> None:
        """Beside what was offered; where a request holds no more, what was found last stays."""
        new = [tool for tool in found if tool.schema.name not in self._tools]
        self._found += [tool.schema.name for tool in new]
        self.offer(new)
        while self._found and self._are_too_many():
            del self._tools[self._found.pop(0)]

    def _are_too_many(self) -> bool:
        return (
            len(self._tools) > MOST_OFFERED
            or size_of(tool.schema for tool in self._tools.values()) > MOST_OFFERED_BYTES
        )

    def approve(self, approvals: Iterable[Approval], tools: Iterable[Tool]) -> None:
        """The person has approved these calls, and no others."""
        self._approved = {each.approved_call_id: each for each in approvals}
        self.offer(tools)

    @property
    def schemas(self) -> list[ToolSchema]:
        """What the model is offered with the next request."""
        return self._offered.of(tool.schema for tool in self._tools.values()) if self._offering else []

    def leave_out(self, rejected: ModelRejectedError) -> bool:
        """Whether fewer tools are offered from now on, since the vendor refused the last request for one of them."""
        return self._offered.leave_out(rejected)

    def withhold_all(self) -> bool:
        """Offer the model no tools. False: there are none."""
        self._offering = False
        return bool(self._tools)

    async def finish_cut(self, record: Turn, model: Model, now: float) -> None:
        """What a crash left open: a call whose intent is stored may have been done, any other was not.

        InDoubtError while it may still be under way. What was to follow a call whose outcome is unknown may rest on
        it: the model is to look before.
        """
        begun = {intent.call_id: intent for intent in record.intents}
        # It may have been cut again after that.
        self._unsure = OUTCOME_UNKNOWN in self._transcript.results_so_far()
        for item in self._transcript.open_calls():
            call = model.call_of(item)
            if (intent := begun.get(call.call_id)) is None:
                await self._make(call, self._approved.get(call.call_id))
            elif (until := intent.started_at + self._longest(call.name)) > now:
                raise InDoubtError(until)
            else:
                used = ToolUse(call.name, failed=True, seconds=0.0)
                await self._keep(call, _of_ours(OUTCOME_UNKNOWN), used)
        await self._put_questions()

    async def make_all(self, calls: Sequence[FunctionCall]) -> None:
        """Make the calls of one answer, in order, and keep their results; what is beyond MOST_CALLS is not made."""
        self._unsure = False
        for call in calls[:MOST_CALLS]:
            await self._make(call)
        for call in calls[MOST_CALLS:]:
            self._transcript.result(call.call_id, _of_ours(TOO_MANY_CALLS))
        await self._put_questions()

    async def _make(self, call: FunctionCall, approval: Approval | None = None) -> None:
        """`approval`: the person's, for this very call. None is found by a call's id alone: models see those."""
        await self._attention.pause()
        tool = self._tools.get(call.name)
        if tool is None or (approval and await self._account_of(call, tool) != approval.account):
            gone = GONE if approval else f"There is no tool named {call.name}."
            return await self._keep(call, _of_ours(gone))
        if call.arguments is None:
            return await self._keep(call, _of_ours("The arguments were no JSON object."))
        if self._unsure and not tool.read_only:
            return await self._keep(call, _of_ours(NOT_MADE))
        if approval is None and self._asks_first(tool, call.arguments, tainted=self._transcript.tainted):
            may_stand = not self._transcript.tainted and self._asks_first.may_stand(tool, call.arguments)
            if not (may_stand and await self._stands(call, tool)):
                return await self._ask(call, tool, may_stand=may_stand)
        self._tell(ToolStarted(call.call_id, call.name))
        began = asyncio.get_running_loop().time()
        result = await (self._look_up(tool, call) if tool.read_only else self._change(tool, call))
        seconds = asyncio.get_running_loop().time() - began
        await self._keep(call, result, ToolUse(call.name, failed=not result.ok, seconds=seconds))
        self._tell(ToolFinished(call.call_id, succeeded=result.ok))
        self._find(result.found)
        return None

    async def _stands(self, call: FunctionCall, tool: Tool) -> bool:
        """Whether the person has said that they need not be asked for this tool with this account."""
        account = await self._account_of(call, tool)
        return account is not None and await self._journal.stands(call.name, account)

    async def _ask(self, call: FunctionCall, tool: Tool, *, may_stand: bool) -> None:
        try:
            account = await tool.account_for(self._person, call.arguments or {})
        except UnclearCallError as unclear:
            return await self._keep(call, _of_ours(unclear.sentence))
        titles = await self._attention.wait_for(self._titles.of(call.name, call.arguments or {}))
        [[[kept]]] = storable([[[call.arguments]]])  # so deep it stands in the journal: what is shown is what is kept
        call = replace(call, arguments=kept)
        return self._asking.add(Approval.of(call, tool.schema.title, account, titles), may_stand=may_stand)

    async def _put_questions(self) -> None:
        """The calls of one step are one question."""
        if await self._asking.put():
            await self._journal.step(Usage())

    async def _account_of(self, call: FunctionCall, tool: Tool) -> str | None:
        """None: it is no longer clear."""
        try:
            return await tool.account_for(self._person, call.arguments or {})
        except UnclearCallError:
            return None

    def _longest(self, name: str) -> float:
        tool = self._tools.get(name)
        return tool.timeout if tool else LONGEST_CALL_SECONDS

    async def _look_up(self, tool: Tool, call: FunctionCall) -> ToolResult:
        """A call that may be made again: nothing is lost if it is interrupted."""
        return await self._attention.wait_for(self._execute(tool, call))

    async def _change(self, tool: Tool, call: FunctionCall) -> ToolResult:
        """The intent first: whoever goes on after a crash knows that this may have been done."""
        await self._journal.intend(call.call_id, call.name)
        try:
            return await self._execute(tool, call)
        except Busy:
            await self._journal.withdraw(call.call_id)
            raise

    async def _execute(self, tool: Tool, call: FunctionCall) -> ToolResult:
        try:
            async with asyncio.timeout(tool.timeout):
                return await tool.call(self._person, call.arguments or {})
        except TimeoutError:
            return _of_ours("The tool took too long." if tool.read_only else OUTCOME_UNKNOWN)
        except Busy:
            raise  # nothing was done: the turn waits, and then the call is made
        except VendorUnavailable:
            return _of_ours("The service behind this tool does not answer now. Nothing was done.")
        except Exception:
            log.exception("tool broke tool=%s person=%s", call.name, self._person.id)
            return _of_ours("The tool failed." if tool.read_only else OUTCOME_UNKNOWN)

    async def _keep(self, call: FunctionCall, result: ToolResult, used: ToolUse | None = None) -> None:
        self._unsure = self._unsure or result.output == OUTCOME_UNKNOWN
        files, told = await keep_all(result.files, self._journal.keep_file, len(self._transcript.files()))
        output = cut(storable_text(result.output), MOST_OUTPUT_TOKENS, LEFT_OUT)
        kept = replace(result, output="\n".join((output, *told)))
        self._transcript.result(call.call_id, kept, files)
        await self._journal.step(Usage(tool_calls=1), finished=call.call_id, used=used)
        if result.link is not None:
            self._tell(ConnectNeeded(str((call.arguments or {}).get("toolkit", "")), result.link))


def _of_ours(sentence: str) -> ToolResult:
    """What became of a call that gave nothing back, in our own words."""
    return ToolResult(sentence, ok=False, own=True)
