"""One turn: model ⇄ tools until there is an answer. Every step is durable before the next one acts on it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kernel_service import texts
from kernel_service.errors import VendorUnavailable
from kernel_service.kernels.store import CallRecord, TurnStatus
from kernel_service.messages import Reply, Usage
from kernel_service.turns.limits import hold_seconds
from kernel_service.turns.model import ModelRejectedError, ModelRequest
from kernel_service.turns.prompt import instructions, person_key
from kernel_service.turns.replies import answer_replies
from kernel_service.turns.tools import Person, ToolResult
from kernel_service.turns.transcript import Transcript

if TYPE_CHECKING:
    from kernel_service.kernels.kernel import Kernel
    from kernel_service.kernels.store import TurnRecord
    from kernel_service.turns.model import FunctionCall, ModelAnswer
    from kernel_service.turns.runner import TurnRunner
    from kernel_service.turns.tools import Tool

log = logging.getLogger(__name__)

NOTICE_AFTER_HOLDS = 3
"""The person is told that we keep trying when a turn has been held this often."""

OUTCOME_UNKNOWN = "The outcome is unknown: the call may or may not have been done. Look before you repeat it."
NOT_DONE = "Not done: the turn ended before this call."


class Turn:
    """Runs one turn of one kernel to its end, or holds it until a vendor is back."""

    def __init__(self, runner: TurnRunner, kernel: Kernel, record: TurnRecord) -> None:
        self._runner = runner
        self._kernel = kernel
        self._record = record
        self._person = Person(kernel.person_id, record.messages[-1].channel, record.messages[-1].address)
        self._transcript = Transcript(kernel.history.items(), runner.model)
        self._tools: dict[str, Tool] = {}
        self._deadline = runner.clock() + runner.limits.seconds

    async def run(self) -> None:
        try:
            if self._record.attempts > self._runner.limits.attempts:
                await self._give_up("too_many_attempts")
            elif (fixed := await self._runner.fixed_answer(self._record)) is not None:
                await self._end([Reply(text) for text in fixed], TurnStatus.COMPLETED)
            else:
                await self._converse()
        except VendorUnavailable as away:
            await self._hold(away)
        except ModelRejectedError as rejected:
            await self._give_up(rejected.code)
        finally:
            self._kernel.history.replace(self._transcript.stored)

    # --- the loop -----------------------------------------------------------------------------------------------

    async def _converse(self) -> None:
        if not self._record.begun:
            self._transcript.hear(self._record.messages)
        self._offer(await self._runner.toolbox.tools_for(self._person))
        await self._finish_cut_calls()
        for _ in range(self._runner.limits.steps):
            if self._runner.clock() > self._deadline:
                return await self._end([Reply(texts.TOO_LONG)], TurnStatus.FAILED, "too_long")
            answer = await self._ask()
            self._transcript.note(answer)
            if not answer.calls:
                replies = answer_replies(answer, self._transcript.links(), self._runner.limits.output_chars)
                return await self._end(replies, TurnStatus.COMPLETED, usage=answer.usage)
            await self._store(answer.usage)
            for call in answer.calls:
                await self._call(call)
        return await self._end([Reply(texts.TOO_MANY_STEPS)], TurnStatus.FAILED, "too_many_steps")

    async def _ask(self) -> ModelAnswer:
        runner = self._runner
        request = ModelRequest(
            instructions=instructions(runner.instructions, runner.clock()),
            items=self._transcript.for_model(),
            tools=[tool.schema for tool in self._tools.values()],
            person_key=person_key(self._person.id),
            max_output_tokens=runner.limits.output_tokens,
        )
        return await runner.model.answer(request)

    def _offer(self, tools: list[Tool] | tuple[Tool, ...]) -> None:
        self._tools.update({tool.schema.name: tool for tool in tools})

    # --- tools --------------------------------------------------------------------------------------------------

    async def _finish_cut_calls(self) -> None:
        """What a crash left open: a call whose intent is stored may have been done, any other was not."""
        begun = {intent.call_id for intent in self._record.intents}
        for item in self._transcript.open_calls():
            call = self._runner.model.call_of(item)
            if call.call_id in begun:
                await self._keep_result(call, ToolResult(OUTCOME_UNKNOWN, ok=False))
            else:
                await self._call(call)

    async def _call(self, call: FunctionCall) -> None:
        tool = self._tools.get(call.name)
        if tool is None:
            result = ToolResult(f"There is no tool named {call.name}.", ok=False)
        elif call.arguments is None:
            result = ToolResult("The arguments were no JSON object.", ok=False)
        else:
            if not tool.read_only:
                await self._store(Usage(), started=CallRecord(call.call_id, call.name, self._runner.clock()))
            result = await self._execute(tool, call)
        await self._keep_result(call, result)
        self._offer(result.found)

    async def _execute(self, tool: Tool, call: FunctionCall) -> ToolResult:
        try:
            async with asyncio.timeout(tool.timeout):
                return await tool.call(self._person, call.arguments or {})
        except TimeoutError:
            return ToolResult("The tool took too long." if tool.read_only else OUTCOME_UNKNOWN, ok=False)
        except VendorUnavailable:
            return ToolResult("The service behind this tool does not answer now. Nothing was done.", ok=False)
        except Exception:
            log.exception("tool broke tool=%s person=%s", call.name, self._person.id)
            return ToolResult("The tool failed." if tool.read_only else OUTCOME_UNKNOWN, ok=False)

    async def _keep_result(self, call: FunctionCall, result: ToolResult) -> None:
        self._transcript.result(call.call_id, result.output, result.link)
        await self._store(Usage(tool_calls=1), finished=call.call_id)

    # --- the journal --------------------------------------------------------------------------------------------

    async def _store(self, usage: Usage, *, started: CallRecord | None = None, finished: str = "") -> None:
        runner, items = self._runner, self._transcript.unstored
        await runner.store.append(
            self._record,
            self._kernel.epoch,
            items,
            usage=usage,
            started=started,
            finished=finished,
            now=runner.clock(),
        )
        self._transcript.mark_stored()
        self._record.begun = True

    async def _end(
        self, replies: list[Reply], status: TurnStatus, problem: str = "", usage: Usage | None = None
    ) -> None:
        """The last items, the replies and the members' end, in one transaction."""
        for item in self._transcript.open_calls():
            self._transcript.result(str(item["call_id"]), NOT_DONE)
        runner = self._runner
        await runner.store.end(
            self._record, self._kernel.epoch, self._transcript.unstored, replies,
            status=status, problem=problem, usage=usage or Usage(), now=runner.clock(),
        )  # fmt: skip
        self._transcript.mark_stored()
        runner.ended(self._record)

    async def _give_up(self, problem: str) -> None:
        """End with an apology. A message that the model refuses for good must not spoil the history: it is left out."""
        log.warning("turn failed problem=%s turn=%s person=%s", problem, self._record.id, self._person.id)
        self._transcript.unstored = []
        await self._end([Reply(texts.FAILED)], TurnStatus.FAILED, problem)

    async def _hold(self, away: VendorUnavailable) -> None:
        """Wait for the vendor. What was not stored is heard again; an attempt is not burned."""
        runner, record = self._runner, self._record
        wait = hold_seconds(record.holds, away.retry_after, runner.spread)
        notice = Reply(texts.STILL_TRYING) if record.holds == NOTICE_AFTER_HOLDS else None
        log.warning("turn held problem=%s turn=%s seconds=%.1f", away.problem, record.id, wait)
        now = runner.clock()
        await runner.store.hold(
            record, self._kernel.epoch, until=now + wait, problem=away.problem, notice=notice, now=now
        )
        if notice is not None:
            runner.replies_ready(self._person.channel)
