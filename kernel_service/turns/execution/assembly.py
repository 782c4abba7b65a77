"""Assembles one turn: gives each part its dependencies on the process and on the other parts of the turn."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from kernel_service.ports.commands import WITHOUT_REQUEST, Command
from kernel_service.ports.tools import Person
from kernel_service.turns.calls.approval_check import ApprovalCheck
from kernel_service.turns.calls.approval_prompts import ApprovalPrompts
from kernel_service.turns.calls.available_tools import AvailableTools
from kernel_service.turns.calls.call_execution import CallExecution
from kernel_service.turns.calls.refused_tools import OfferedTools
from kernel_service.turns.calls.titles import Titles
from kernel_service.turns.calls.tool_calls import ToolCalls
from kernel_service.turns.context.context_window import ContextWindow
from kernel_service.turns.context.transcript import Transcript
from kernel_service.turns.execution.answers import Answers
from kernel_service.turns.execution.attempt_record import AttemptRecord
from kernel_service.turns.execution.closing import TurnCloser
from kernel_service.turns.execution.commands import Commands
from kernel_service.turns.execution.execution import TurnExecution
from kernel_service.turns.execution.failed import FailedTurn
from kernel_service.turns.execution.held import HeldTurn
from kernel_service.turns.execution.inputs import TurnInputs
from kernel_service.turns.execution.interrupted import InterruptedTurn
from kernel_service.turns.execution.model_loop import ModelLoop
from kernel_service.turns.execution.model_requests import ModelRequests
from kernel_service.turns.execution.model_step import ModelStep
from kernel_service.turns.execution.opening import TurnOpening
from kernel_service.turns.execution.recall import Recall
from kernel_service.turns.execution.reports import TurnReports
from kernel_service.turns.execution.schedules import Schedules
from kernel_service.turns.execution.start import TurnStart
from kernel_service.turns.execution.summarising import Summariser
from kernel_service.turns.execution.voice_answer import VoiceAnswer
from kernel_service.turns.files.turn_files import TurnFiles
from kernel_service.turns.interrupt_watcher import InterruptWatcher
from kernel_service.turns.journal.produced_files import ProducedFiles
from kernel_service.turns.journal.turn_approvals import TurnApprovals
from kernel_service.turns.journal.turn_journal import TurnJournal
from kernel_service.turns.refusals.model_health import ModelHealth
from kernel_service.turns.refusals.recovery import Recovery
from kernel_service.turns.replies.live_answer import LiveAnswer
from kernel_service.turns.replies.reply_cap import ReplyCap
from kernel_service.turns.spending.spending import Spending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_service.kernels.kernel import Kernel
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.execution.dependencies import TurnDependencies


def turn_execution(process: TurnDependencies, kernel: Kernel, turn: Turn) -> TurnExecution:
    """The execution of one turn. It runs once."""
    kernel.history.drop(turn.dropped)
    return _Assembly(process, kernel, turn).execution()


class _Assembly:
    """The shared parts of one turn, in the order of their dependencies."""

    def __init__(self, process: TurnDependencies, kernel: Kernel, turn: Turn) -> None:
        self._process, self._kernel, self._turn = process, kernel, turn
        last, limits, clock = turn.messages[-1], process.limits, process.clock
        self._deadline = clock() + limits.seconds
        self._person = Person(turn.person_id, last.channel, last.address)
        self._record = AttemptRecord()
        self._reports = TurnReports(
            turn, process.progress, process.typing, process.counters, process.ended, self._record
        )
        self._interrupts = InterruptWatcher(kernel, lambda: process.store.turns.check_interrupts(turn))
        self._transcript = Transcript(kernel.history.open_items(), process.model, kernel.history.ended)
        self._window = ContextWindow(self._transcript, process.model, kernel.context_tokens)
        self._spending = Spending(process.store.spending, turn.person_id, limits, clock, self._record.request_ended)
        self._journal = self._new_journal()
        self._approvals = TurnApprovals(process.store.approvals, turn, kernel.epoch)
        self._produced = ProducedFiles(process.store.made_files, turn, clock)
        self._files = TurnFiles(process.store.files, process.transcription, self._spending, clock)
        offered = OfferedTools(process.refused_tools)
        self._tools = AvailableTools(turn, self._person, process.toolbox, offered, limits, clock)
        self._health = ModelHealth(turn, process.model, self._spending, probe_after=limits.holds)
        self._recovery = self._new_recovery()
        self._cap = ReplyCap(limits.daily_replies_per_person, turn, clock)
        self._answers = Answers(turn, self._transcript, self._window, self._files, limits, clock)
        self._live = LiveAnswer(process.progress, turn, self._transcript, limits.output_chars)
        self._closer = TurnCloser(turn, self._journal, self._cap, self._live, self._reports)
        self._recall = Recall(turn, self._transcript, process.store.memory)
        self._inputs = TurnInputs(turn, self._transcript, self._files, process.store.quotes, self._interrupts, clock)

    def execution(self) -> TurnExecution:
        turn, journal, reports = self._turn, self._journal, self._reports
        process, calls = self._process, self._calls()
        return TurnExecution(
            opening=self._opening(),
            start=self._start(calls),
            loop=self._loop(calls),
            answers=self._answers,
            voice_answer=VoiceAnswer(
                turn, process.speech, self._files, self._produced, self._spending, self._interrupts
            ),
            closer=self._closer,
            interrupts=self._interrupts,
            live_answer=self._live,
            reports=reports,
            interrupted=InterruptedTurn(journal, self._transcript, reports),
            held=HeldTurn(turn, journal, self._health, self._cap, self._closer, reports, process.limits, process.clock),
            failed=FailedTurn(turn, journal, reports),
            history_written_back=self._history_written_back(),
            record=self._record,
            summariser=self._summariser(),
        )

    def _new_journal(self) -> TurnJournal:
        return TurnJournal(
            store=self._process.store.turns,
            context=self._process.store.context,
            kernel=self._kernel,
            turn=self._turn,
            transcript=self._transcript,
            window=self._window,
            spending=self._spending,
            delivery=self._process.delivery,
            clock=self._process.clock,
        )

    def _new_recovery(self) -> Recovery:
        return Recovery(
            transcript=self._transcript,
            window=self._window,
            journal=self._journal,
            files=self._files,
            tools=self._tools,
            output_tokens=self._process.limits.output_tokens,
            taken=self._process.counters.recoveries,
        )

    def _opening(self) -> TurnOpening:
        process, inputs = self._process, self._inputs
        schedules = Schedules(self._turn, process.store.schedules, inputs, process.clock)
        commands = Commands(
            turn=self._turn,
            person=self._person,
            codes=process.codes,
            approvals=self._approvals,
            schedules=schedules,
            triggers=process.store.triggers,
            inputs=inputs,
            recall=self._recall,
        )
        limits = self._process.limits
        return TurnOpening(self._turn, limits, self._cap, commands, self._files, self._answers, self._reports)

    def _start(self, calls: ToolCalls) -> TurnStart:
        return TurnStart(
            turn=self._turn,
            transcript=self._transcript,
            inputs=self._inputs,
            recall=self._recall,
            tools=self._tools,
            calls=calls,
            journal=self._journal,
            reports=self._reports,
        )

    def _calls(self) -> ToolCalls:
        process, person, transcript, files = self._process, self._person, self._transcript, self._produced
        return ToolCalls(
            tools=self._tools,
            transcript=transcript,
            journal=self._journal,
            files=files,
            interrupts=self._interrupts,
            approvals=ApprovalCheck(
                person=person,
                policy=process.asks_first,
                transcript=transcript,
                approvals=self._approvals,
                prompts=ApprovalPrompts(transcript, files),
                titles=Titles(person, transcript, process.toolbox, process.asks_first),
                interrupts=self._interrupts,
                unasked=self._turn.messages[0].command in WITHOUT_REQUEST,
                scheduled=self._turn.messages[0].command is Command.SCHEDULED,
            ),
            execution=CallExecution(
                self._turn, person, transcript, self._journal, self._interrupts, process.before_effect
            ),
            call_of=process.model.call_of,
            tell=self._reports.happened,
            tool_ended=self._record.tool_ended,
            clock=process.clock,
        )

    def _loop(self, calls: ToolCalls) -> ModelLoop:
        process, turn = self._process, self._turn
        step = ModelStep(
            model=process.model,
            requests=self._requests(),
            spending=self._spending,
            interrupts=self._interrupts,
            recovery=self._recovery,
            health=self._health,
            live=self._live,
            last_attempt=turn.attempt_count >= process.limits.attempts - 1,
        )
        limits, clock = process.limits, process.clock
        return ModelLoop(step, calls, self._transcript, self._journal, self._live, limits.steps, self._deadline, clock)

    def _requests(self) -> ModelRequests:
        return ModelRequests(
            self._turn.person_id,
            self._process.instructions,
            self._window,
            self._tools,
            self._files,
            self._recovery,
            self._process.limits.compaction,
        )

    def _summariser(self) -> Summariser:
        return Summariser(
            self._turn,
            self._kernel,
            self._transcript,
            self._process.model,
            self._requests(),
            self._spending,
            self._process.store.context,
            rule=self._process.limits.compaction,
            clock=self._process.clock,
        )

    @contextmanager
    def _history_written_back(self) -> Iterator[None]:
        """The kernel keeps the journaled history, however the attempt ends."""
        try:
            yield
        finally:
            self._recovery.undo()
            ended, stored = self._transcript.ended, self._transcript.stored
            if self._transcript.has_ended:
                ended, stored = ended.followed_by(stored), []
            self._kernel.history.keep(ended, stored)
