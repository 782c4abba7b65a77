"""Assembles one turn: gives each part its dependencies on the process and on the other parts of the turn."""

from __future__ import annotations

from functools import cached_property
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
    from kernel_service.kernels.kernel import Kernel
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.execution.dependencies import TurnDependencies


def turn_execution(process: TurnDependencies, kernel: Kernel, turn: Turn, now: float) -> TurnExecution:
    """The execution of one turn, whose time begins `now`. It runs once."""
    kernel.history.drop(turn.dropped)
    return _Assembly(process, kernel, turn).execution(now + process.limits.seconds)


class _Assembly:
    """The parts of one turn. Those that a plain text needs are made at once, in the order of their dependencies.

    The others are made when their concern occurs.
    """

    def __init__(self, process: TurnDependencies, kernel: Kernel, turn: Turn) -> None:
        self._process, self._kernel, self._turn = process, kernel, turn
        store, limits, clock, last = process.store, process.limits, process.clock, turn.messages[-1]
        self._person = Person(turn.person_id, last.channel, last.address)
        self._record = record = AttemptRecord()
        self._reports = reports = TurnReports(
            turn, process.progress, process.typing, process.counters, process.ended, record
        )
        self._interrupts = InterruptWatcher(kernel, lambda: store.turns.check_interrupts(turn))
        self._transcript = transcript = Transcript(kernel.history.open_items(), process.model, kernel.history.ended)
        self._window = window = ContextWindow(transcript, process.model, kernel.context_tokens)
        self._spending = spending = Spending(store.spending, turn.person_id, limits, clock, record.request_ended)
        self._journal = journal = TurnJournal(
            store.turns, store.context, kernel, turn, transcript, window, spending, process.delivery, clock
        )
        self._files = files = TurnFiles(store.files, process.transcription, spending, clock)
        self._tools = tools = AvailableTools(
            turn, self._person, process.toolbox, OfferedTools(process.refused_tools), limits, clock
        )
        self._recovery = Recovery(
            transcript,
            window,
            journal,
            files,
            tools,
            limits.compaction,
            limits.output_tokens,
            process.counters.recoveries,
        )
        self._requests = ModelRequests(
            turn.person_id, process.instructions, window, tools, files, self._recovery, limits.compaction
        )
        self._cap = ReplyCap(limits.daily_replies_per_person, turn, clock)
        self._answers = Answers(turn, transcript, window, files, limits, clock)
        self._live = LiveAnswer(process.progress, turn, transcript, limits.output_chars)
        self._closer = TurnCloser(turn, journal, self._cap, self._live, reports)
        self._inputs = TurnInputs(turn, transcript, files, store.quotes, self._interrupts, clock)

    def execution(self, deadline: float) -> TurnExecution:
        turn, limits, clock, live = self._turn, self._process.limits, self._process.clock, self._live
        return TurnExecution(
            files=self._files,
            opening=TurnOpening(
                turn, limits, self._cap, self._commands, self._files, self._answers, self._reports
            ),
            start=TurnStart(
                turn, self._transcript, self._inputs, self._recall, self._tools, self._calls, self._journal,
                self._reports,
            ),
            loop=ModelLoop(
                self._step(), self._calls, self._transcript, self._journal, live, limits.steps, deadline, clock
            ),
            answers=self._answers,
            voice_answer=self._voice_answer,
            closer=self._closer,
            interrupts=self._interrupts,
            live_answer=live,
            reports=self._reports,
            interrupted=self._interrupted,
            held=self._held,
            failed=self._failed,
            write_back=self._write_history_back,
            record=self._record,
            summariser=self._summariser,
        )  # fmt: skip

    def _step(self) -> ModelStep:
        process = self._process
        return ModelStep(
            process.model,
            self._requests,
            self._spending,
            self._interrupts,
            self._recovery,
            self._health,
            self._live,
            last_attempt=self._turn.attempt_count >= process.limits.attempts - 1,
        )

    # --- parts that a plain text does not need ----------------------------------------------------------------------

    def _recall(self) -> Recall:
        return Recall(self._turn, self._transcript, self._process.store.memory)

    def _commands(self) -> Commands:
        process, inputs = self._process, self._inputs
        return Commands(
            turn=self._turn,
            person=self._person,
            codes=process.codes,
            approvals=self._approvals,
            schedules=Schedules(self._turn, process.store.schedules, inputs, process.clock),
            triggers=process.store.triggers,
            inputs=inputs,
            recall=self._recall(),
        )

    @cached_property
    def _approvals(self) -> TurnApprovals:
        return TurnApprovals(self._process.store.approvals, self._turn, self._kernel.epoch)

    @cached_property
    def _produced(self) -> ProducedFiles:
        return ProducedFiles(self._process.store.made_files, self._turn, self._process.clock)

    def _calls(self) -> ToolCalls:
        return self._tool_calls

    @cached_property
    def _tool_calls(self) -> ToolCalls:
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

    def _health(self) -> ModelHealth:
        return self._model_health

    @cached_property
    def _model_health(self) -> ModelHealth:
        process = self._process
        return ModelHealth(self._turn, process.model, self._spending, probe_after=process.limits.holds)

    def _voice_answer(self) -> VoiceAnswer:
        return VoiceAnswer(
            self._turn, self._process.speech, self._files, self._produced, self._spending, self._interrupts
        )

    def _interrupted(self) -> InterruptedTurn:
        return InterruptedTurn(self._journal, self._transcript, self._reports)

    def _held(self) -> HeldTurn:
        process, turn, health = self._process, self._turn, self._model_health
        return HeldTurn(
            turn, self._journal, health, self._cap, self._closer, self._reports, process.limits, process.clock
        )

    def _failed(self) -> FailedTurn:
        return FailedTurn(self._turn, self._journal, self._reports)

    def _summariser(self) -> Summariser:
        return Summariser(
            self._turn,
            self._kernel,
            self._transcript,
            self._process.model,
            self._requests,
            self._spending,
            self._process.store.context,
            rule=self._process.limits.compaction,
            clock=self._process.clock,
        )

    def _write_history_back(self) -> None:
        """The kernel keeps the journaled history, however the attempt ends."""
        self._recovery.undo()
        transcript = self._transcript
        if transcript.has_ended:
            self._kernel.history.keep(transcript.ended.followed_by(transcript.stored), [])
        else:
            self._kernel.history.keep(transcript.ended, transcript.stored)
