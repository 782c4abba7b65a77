"""One turn: model ⇄ tools until there is an answer. Every step is durable before the next one acts on it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.approvals.standing import listed
from kernel_service.errors import Busy, KernelError, LeaseLost, StoreUnavailable, VendorUnavailable
from kernel_service.inbox.codes import codes_in
from kernel_service.inbox.commands import text_of
from kernel_service.ports.approvals import REFUSED, Verdict, decided
from kernel_service.ports.commands import Command
from kernel_service.ports.interruptions import HandedBack, Newcomers, Stopped
from kernel_service.ports.messages import Reply
from kernel_service.ports.model import CONTEXT_TOO_LONG, ModelRejectedError, ModelRequest, UnusableAnswerError
from kernel_service.ports.progress import ApprovalNeeded, Merged
from kernel_service.ports.spending import BudgetSpentError
from kernel_service.ports.tools import Person, ToolResult
from kernel_service.ports.turns import TurnStatus
from kernel_service.turns.calls.refused_tools import OfferedTools
from kernel_service.turns.calls.titles import Titles
from kernel_service.turns.calls.tool_calls import InDoubtError, ToolCalls
from kernel_service.turns.context.instructions import WITHOUT_TOOLS, instructions, person_key
from kernel_service.turns.context.quotes import with_quote
from kernel_service.turns.context.times import stamp
from kernel_service.turns.context.transcript import Transcript
from kernel_service.turns.files.turn_files import TurnFiles
from kernel_service.turns.interrupt_watcher import InterruptWatcher
from kernel_service.turns.journal.turn_journal import TurnJournal
from kernel_service.turns.limits import seconds_of_day_left
from kernel_service.turns.refusals.recovery import Recovery
from kernel_service.turns.replies.answer_replies import answer_replies, with_questions
from kernel_service.turns.replies.reply_cap import ReplyCap
from kernel_service.turns.spending import estimates
from kernel_service.turns.spending.spending import Spending

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from kernel_service.kernels.kernel import Kernel
    from kernel_service.ports.approvals import Approval, Question
    from kernel_service.ports.model import ModelAnswer
    from kernel_service.ports.resuming import Confirmed, ParkedRequest
    from kernel_service.ports.tools import Tool
    from kernel_service.ports.turns import Turn, TurnMessage
    from kernel_service.turns.runner import TurnRunner

log = logging.getLogger(__name__)


_ILL: Final = frozenset({"model_unavailable", "model_rejects_key", "model_unpaid"})
"""What a vendor may say of one request alone. That it is busy it says of all."""


class TurnExecution:
    """Runs one turn of one kernel to its end, or to where it has to wait."""

    def __init__(self, runner: TurnRunner, kernel: Kernel, record: Turn) -> None:
        self._runner = runner
        self._kernel = kernel
        self._record = record
        self._person = Person(kernel.person_id, record.messages[-1].channel, record.messages[-1].address)
        kernel.history.drop(record.dropped)
        self._transcript = Transcript(kernel.history.items(), runner.model, kernel.context_tokens)
        self._spending = Spending(runner.store, kernel.person_id, runner.limits, runner.clock)
        self._journal = TurnJournal(
            runner.store, runner.media, kernel, record, self._transcript, self._spending, runner.clock
        )
        self._files = TurnFiles(runner.media, runner.hearing, self._spending, runner.clock)
        self._attention = InterruptWatcher(kernel, lambda: runner.store.check_interrupts(record))
        self._calls = ToolCalls(
            self._person,
            self._transcript,
            self._journal,
            self._attention,
            lambda event: runner.progress.tell(record, event),
            asks_first=runner.asks_first,
            offered=OfferedTools(runner.refused_tools),
            titles=Titles(self._person, self._transcript, runner.toolbox, runner.asks_first),
        )
        self._recovery = Recovery(
            self._transcript,
            self._journal,
            self._files,
            self._calls,
            runner.limits.output_tokens,
            runner.recoveries,
        )
        self._cap = ReplyCap(runner.limits.daily_replies_per_person, record, runner.clock)
        self._toolless = False
        self._model_is_well: bool | None = None
        self._deadline = runner.clock() + runner.limits.seconds
        self._confirmed: Confirmed | None = None
        self._approved: tuple[Approval, ...] = ()
        self._preface = ""
        self._acts = {
            Command.CODE: self._confirm,
            Command.APPROVAL: self._decide,
            Command.PERMISSIONS: self._permissions,
            Command.ASK_AGAIN: self._permissions,
        }

    async def run(self) -> None:
        try:
            with self._attention:
                await self._work()
        except Newcomers:
            await self._journal.count()
            self._count("joined")
        except Stopped:
            await self._stop()
        except (HandedBack, asyncio.CancelledError):
            with suppress(KernelError):
                await self._journal.requeue()
            self._count("handed_back")
            raise
        except InDoubtError as call:
            await self._journal.requeue(call.until)
            self._count("in_doubt")
        except VendorUnavailable as away:
            await self._hold(away)
        except BudgetSpentError:
            await self._over_budget()
        except ModelRejectedError as rejected:
            told = texts.TOO_MUCH_AT_ONCE if rejected.code == CONTEXT_TOO_LONG else texts.FAILED
            await self._give_up(rejected.code, told)
        except Exception as error:  # noqa: BLE001 - whatever it is: it must not silence the person
            await self._fail(error)
        finally:
            self._recovery.undo()
            self._kernel.history.replace(self._transcript.stored)

    async def _work(self) -> None:
        record = self._record
        if record.stopped:
            raise Stopped
        if await self._is_over():
            return None
        if (act := self._acts.get(record.messages[0].command)) is not None:
            return await act(record.messages[0])
        await self._files.look(record)
        if (fixed := await self._runner.fixed_answer(record, self._files)) is not None:
            return await self._end([Reply(text) for text in fixed], TurnStatus.COMPLETED, fixed=True)
        return await self._converse()

    async def _is_over(self) -> bool:
        """Whether a limit ends the turn before anything is done."""
        record, limits = self._record, self._runner.limits
        if not record.begun and self._cap.left(fixed=False) <= 0:
            await self._end([], TurnStatus.FAILED, problem="replies_spent")
        elif record.failures >= limits.attempts or record.crashes_alone >= limits.crashes_alone:
            failed = record.failures >= limits.attempts
            await self._give_up("failed_too_often" if failed else "crashed_too_often")
        elif record.usage.model_calls >= limits.model_calls:
            await self._break_off(texts.TOO_MANY_STEPS, "too_many_model_calls")
        else:
            return False
        return True

    async def _confirm(self, message: TurnMessage) -> None:
        """A code: say what it did, and go on with what waited for it."""
        # Without one: the message was accepted by an earlier release, which took a code alone.
        code = message.content.get("code") or next(iter(codes_in(text_of(message.content))), "")
        confirmed = await self._runner.codes.confirm(self._person, code, message.seq, at=message.accepted_at)
        if not confirmed.resumed:
            return await self._end([Reply(confirmed.told)], TurnStatus.COMPLETED, fixed=True)
        self._confirmed = confirmed
        self._preface = confirmed.told
        return await self._converse()

    async def _decide(self, message: TurnMessage) -> None:
        """A button: make the call that it approves, or say what it did instead."""
        decision = await self._journal.decide(message)
        log.info("button tapped verdict=%s turn=%s person=%s", decision.verdict, self._record.id, self._person.id)
        if decision.verdict is Verdict.APPROVED:
            self._approved = decision.approvals
            if decision.stands:
                action = texts.in_words(decision.approvals[0].tool)
                self._preface = texts.PERMISSION_GIVEN.format(action=action)
            return await self._converse()
        told = texts.APPROVAL_WITHOUT_EFFECT.get(decision.verdict, texts.APPROVAL_REFUSED)
        if decision.approvals:
            self._transcript.hear([self._timed(decided(decision.approvals, approved=False))])
            for each in decision.approvals:
                self._transcript.call(each)
                self._transcript.result(each.approved_call_id, ToolResult(REFUSED, ok=False, own=True))
            self._transcript.say(told)
        return await self._end([Reply(told)], TurnStatus.COMPLETED, fixed=True)

    async def _permissions(self, message: TurnMessage) -> None:
        """What is done without asking: told, and taken back if the message says so."""
        await self._end([Reply(listed(await self._journal.permissions(message)))], TurnStatus.COMPLETED, fixed=True)

    # --- the loop -----------------------------------------------------------------------------------------------

    async def _converse(self) -> None:
        await self._set_out()
        await self._make_room()
        for step in range(self._runner.limits.steps):
            if self._runner.clock() > self._deadline:
                return await self._break_off(texts.TOO_LONG, "too_long")
            # What an approved call has done is to be told, whatever it costs.
            answer = await self._ask(anyway=step == 0 and bool(self._approved))
            if not answer.says_nothing:
                self._transcript.note(answer)
            if not answer.calls:
                return await self._answer(answer)
            await self._journal.step()
            await self._calls.make_all(answer.calls)
        return await self._break_off(texts.TOO_MANY_STEPS, "too_many_steps")

    async def _set_out(self) -> None:
        """From the person's words, or from where the turn was cut."""
        record = self._record
        if not record.begun:
            await self._hear()
        if len(record.messages) > 1:
            self._runner.progress.tell(record, Merged(record.id))
        self._calls.offer(await self._tools())
        if self._approved:
            named = [await self._runner.toolbox.named(self._person, each.tool) for each in self._approved]
            self._calls.approve(self._approved, [tool for tool in named if tool])
        await self._calls.finish_cut(record, self._runner.model, self._runner.clock())

    async def _tools(self) -> list[Tool]:
        """The person's tools. Without them the turn can still answer: their absence must not silence anybody."""
        try:
            return await self._runner.toolbox.tools_for(self._person)
        except VendorUnavailable:
            if self._runner.clock() - self._record.started_at < self._runner.limits.toolless_after_seconds:
                raise
        except KernelError:
            raise
        except Exception:
            log.exception("tools cannot be offered person=%s", self._person.id)
        self._toolless = True
        return []

    async def _make_room(self) -> None:
        """A context that is full is halved, once and for all: one that slid with each turn would miss the cache."""
        limit = self._transcript.limit
        full = self._kernel.history.size > limit and self._transcript.tokens() > limit
        if full and self._transcript.forget_older(limit // 2):
            await self._journal.shrink()

    async def _hear(self) -> None:
        if self._confirmed is not None:
            return await self._go_on(self._confirmed)
        if self._approved:
            self._transcript.hear([self._timed(decided(self._approved, approved=True))])
            for each in self._approved:
                self._transcript.call(each)
            return None
        await self._attention.wait_for(self._files.hear())
        return self._transcript.hear([await self._heard(message) for message in self._record.messages])

    async def _go_on(self, confirmed: Confirmed) -> None:
        """With the person's own messages as theirs, and what the model had noted as the assistant's."""
        for noted in confirmed.noted:
            self._transcript.say(noted)
        heard = [await self._heard(message) for message in confirmed.messages]
        self._transcript.hear([*heard, self._timed(confirmed.content)])

    async def _heard(self, message: TurnMessage) -> dict[str, Any]:
        words, zone = self._files.in_words(message), self._record.time_zone
        return self._timed(await with_quote(self._runner.store, self._person.id, message, words, zone), message)

    def _timed(self, content: dict[str, Any], message: TurnMessage | None = None) -> dict[str, Any]:
        """With the time of the message that it is, or that brought it about."""
        message = message or self._record.messages[0]
        return content | {"time": stamp(message, self._record.time_zone, self._runner.clock())}

    async def _ask(self, *, anyway: bool) -> ModelAnswer:
        """What the model says, asked differently as long as the turn knows how. `anyway`: over the budget."""
        while True:
            await self._attention.pause()
            try:
                answer = await self._asked(self._request(), anyway=anyway)
            except ModelRejectedError as rejected:
                if not await self._recovery.mend(rejected):
                    raise
                continue
            except VendorUnavailable as away:
                if not (await self._is_ill_alone(away) and self._recovery.begins_afresh()):
                    raise
                continue
            except UnusableAnswerError:
                last = self._record.failures >= self._runner.limits.attempts - 1
                if not (last and self._recovery.begins_afresh()):
                    raise
                continue
            await self._recovery.answered()
            if not self._recovery.asks_again(answer):
                return answer

    async def _asked(self, request: ModelRequest, *, anyway: bool) -> ModelAnswer:
        async with self._spending.request(lambda: estimates.of_request(request), anyway=anyway) as cost:
            answer = await self._attention.wait_for(self._runner.model.answer(request))
            cost.told = answer.usage
        return answer

    async def _is_ill_alone(self, away: VendorUnavailable) -> bool:
        """Whether the model answers, though not this turn: then it may be what was said before."""
        if away.problem not in _ILL or self._record.holds < self._runner.limits.holds:
            return False
        if self._model_is_well is None:
            self._model_is_well = await self._runner.model_is_well(person_key(self._person.id), self._spending)
        return self._model_is_well

    def _request(self) -> ModelRequest:
        told = instructions(self._runner.instructions)
        return ModelRequest(
            instructions=f"{told}\n\n{WITHOUT_TOOLS}" if self._toolless else told,
            items=self._transcript.for_model(),
            tools=self._calls.schemas,
            person_key=person_key(self._person.id),
            max_output_tokens=self._recovery.output_tokens,
            files=self._files.for_model(),
        )

    # --- how it ends --------------------------------------------------------------------------------------------

    async def _answer(self, answer: ModelAnswer) -> None:
        replies = answer_replies(answer, self._transcript, self._runner.limits.output_chars)
        if answer.says_nothing and replies[0].text:
            self._transcript.say(replies[0].text)
        try:
            await self._end(replies, TurnStatus.COMPLETED, parked=self._parked(), asked=self._questions())
        except Stopped:
            return await self._stop()

    async def _break_off(self, told: str, problem: str) -> None:
        await self._end([Reply(told)], TurnStatus.FAILED, problem=problem, asked=self._questions())

    def _prefaced(self, replies: list[Reply]) -> list[Reply]:
        """What the person's word did is told together with what came of it: each message is billed."""
        if not self._preface:
            return replies
        return [replace(replies[0], text=f"{self._preface}\n\n{replies[0].text}"), *replies[1:]]

    def _parked(self) -> list[ParkedRequest]:
        messages, tainted = tuple(self._asked_for()), self._transcript.tainted
        return [replace(each, messages=messages, tainted=tainted) for each in self._transcript.parked()]

    def _asked_for(self) -> Iterator[TurnMessage]:
        """The person's own messages that the turn is about; a code's are those that it lets go on."""
        yield from self._confirmed.messages if self._confirmed else ()
        for message in self._record.messages:
            if message.command is Command.NONE:
                yield replace(message, content=self._files.in_words(message))

    def _questions(self) -> list[Question]:
        expires_at = self._runner.clock() + self._runner.limits.approval_seconds
        return [each.until(expires_at) for each in self._transcript.questions()]

    async def _over_budget(self) -> None:
        """Before its first step a turn leaves no trace in the history; the person may ask again tomorrow."""
        told = texts.budget_spent(seconds_of_day_left(self._runner.clock()))
        if self._record.begun:
            return await self._break_off(told, "budget_spent")
        self._transcript.unstored = []
        return await self._end([Reply(told)], TurnStatus.COMPLETED, fixed=True)

    async def _stop(self) -> None:
        """What is not stored yet was never heard: it stays out of the history."""
        self._transcript.unstored = []
        await self._journal.end([], TurnStatus.STOPPED)
        self._ended(TurnStatus.STOPPED)

    async def _end(
        self,
        replies: list[Reply],
        status: TurnStatus,
        *,
        problem: str = "",
        fixed: bool = False,
        parked: Sequence[ParkedRequest] = (),
        asked: Sequence[Question] = (),
    ) -> None:
        told = self._cap.kept(self._prefaced(with_questions(replies, asked)), fixed=fixed)
        await self._journal.end(told, status, problem=problem, fixed=fixed, parked=parked, questions=asked)
        for each in asked:
            calls = tuple((one.call_id, one.tool) for one in each.approvals)
            event = ApprovalNeeded(calls, each.choices, each.expires_at)
            self._runner.progress.tell(self._record, event)
        self._ended(status)

    async def _fail(self, error: Exception) -> None:
        """An attempt that broke counts, so that a turn which always breaks is given up."""
        if isinstance(error, StoreUnavailable | LeaseLost) or getattr(error, "reason", "") == "SEALING_KEY_UNKNOWN":
            raise error  # it passes, or an operator has to act: no fault of this turn's
        if isinstance(error, UnusableAnswerError):
            log.warning("model answers nonsense turn=%s person=%s", self._record.id, self._person.id)
            await self._journal.fail("model_answers_nonsense")
        else:
            log.error("turn broke turn=%s person=%s", self._record.id, self._person.id, exc_info=error)
            await self._journal.fail("turn_broke")
        self._count("broke")

    async def _give_up(self, problem: str, told: str = texts.FAILED) -> None:
        """Of several messages each gets a chance of its own; one alone becomes a dead letter."""
        log.warning("turn failed problem=%s turn=%s person=%s", problem, self._record.id, self._person.id)
        if len(self._record.messages) > 1 and not self._record.closed:
            await self._journal.split(problem)
            return self._count("split")
        await self._journal.give_up(problem, told)
        return self._ended("dead")

    async def _hold(self, away: VendorUnavailable) -> None:
        if await self._waits_in_vain(away):
            return await self._give_up(f"{away.problem}_too_long", texts.WAITED_TOO_LONG)
        wait, notice = await self._journal.hold(away, may_tell=self._cap.left(fixed=True) > 0)
        log.warning("turn held problem=%s turn=%s seconds=%.1f", away.problem, self._record.id, wait)
        if notice is not None:
            self._runner.told_busy += isinstance(away, Busy)
            self._runner.replies_ready(self._person.channel)
        return self._count("held")

    async def _waits_in_vain(self, away: VendorUnavailable) -> bool:
        """Whether the turn has waited for longer than anybody would, or is itself what its vendor cannot answer."""
        limits = self._runner.limits
        waited = self._runner.clock() - self._record.started_at
        if waited > (limits.hold_seconds if away.problem.startswith("model_") else limits.tools_hold_seconds):
            return True
        return await self._is_ill_alone(away)

    def _ended(self, outcome: str) -> None:
        self._count(outcome)
        self._runner.ended(self._record)

    def _count(self, outcome: str) -> None:
        self._runner.outcomes[outcome] += 1
