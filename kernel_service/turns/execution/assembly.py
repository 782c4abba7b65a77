"""Puts one turn together: each part gets what it needs of the process, and of the turn's other parts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from kernel_service.ports.tools import Person
from kernel_service.turns.calls.approval_check import ApprovalCheck
from kernel_service.turns.calls.approval_prompts import ApprovalPrompts
from kernel_service.turns.calls.available_tools import AvailableTools
from kernel_service.turns.calls.call_execution import CallExecution
from kernel_service.turns.calls.refused_tools import OfferedTools
from kernel_service.turns.calls.titles import Titles
from kernel_service.turns.calls.tool_calls import ToolCalls
from kernel_service.turns.context.transcript import Transcript
from kernel_service.turns.execution.answers import Answers
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
from kernel_service.turns.execution.reports import TurnReports
from kernel_service.turns.execution.start import TurnStart
from kernel_service.turns.files.turn_files import TurnFiles
from kernel_service.turns.interrupt_watcher import InterruptWatcher
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
    """Runs once."""
    kernel.history.drop(turn.dropped)
    return _Assembly(process, kernel, turn).execution()


class _Assembly:
    """The parts of one turn that others share, in the order in which they need each other."""

    def __init__(self, process: TurnDependencies, kernel: Kernel, turn: Turn) -> None:
        self._process, self._kernel, self._turn = process, kernel, turn
        last, limits, clock = turn.messages[-1], process.limits, process.clock
        self._person = Person(turn.person_id, last.channel, last.address)
        self._reports = TurnReports(turn, process.progress, process.counters, process.ended, process.replies_ready)
        self._interrupts = InterruptWatcher(kernel, lambda: process.store.turns.check_interrupts(turn))
        self._transcript = Transcript(kernel.history.items(), process.model, kernel.context_tokens)
        self._spending = Spending(process.store.spending, turn.person_id, limits, clock)
        self._journal = TurnJournal(process.store, process.media, kernel, turn, self._transcript, self._spending, clock)
        self._files = TurnFiles(process.media, process.transcription, self._spending, clock)
        self._cap = ReplyCap(limits.daily_replies_per_person, turn, clock)
        offered = OfferedTools(process.refused_tools)
        wait_seconds = limits.toolless_after_seconds
        self._tools = AvailableTools(turn, self._person, process.toolbox, offered, wait_seconds, clock)
        self._recovery = Recovery(
            self._transcript, self._journal, self._files, self._tools, limits.output_tokens, process.counters.recoveries
        )
        self._health = ModelHealth(turn, process.model, self._spending, probe_after=limits.holds)
        self._inputs = TurnInputs(turn, self._transcript, self._files, process.store.quotes, self._interrupts, clock)
        self._answers = Answers(turn, self._transcript, self._files, limits, clock)
        self._live = LiveAnswer(process.progress, turn, self._transcript, limits.output_chars)
        self._closer = TurnCloser(turn, self._journal, self._cap, self._live, self._reports)

    def execution(self) -> TurnExecution:
        turn, journal, reports = self._turn, self._journal, self._reports
        calls = self._calls()
        process, transcript = self._process, self._transcript
        return TurnExecution(
            opening=self._opening(),
            start=TurnStart(turn, self._kernel.history, transcript, self._inputs, self._tools, calls, journal, reports),
            loop=ModelLoop(self._model_step(), calls, transcript, journal, self._live, process.limits, process.clock),
            answers=self._answers,
            closer=self._closer,
            interrupts=self._interrupts,
            live_answer=self._live,
            interrupted=InterruptedTurn(journal, transcript, reports),
            held=HeldTurn(turn, journal, self._health, self._cap, self._closer, reports, process.limits, process.clock),
            failed=FailedTurn(turn, journal, reports),
            history_written_back=self._history_written_back(),
        )

    def _opening(self) -> TurnOpening:
        commands = Commands(self._turn, self._person, self._process.codes, self._journal, self._inputs)
        return TurnOpening(self._turn, self._process.limits, self._cap, commands, self._files, self._answers)

    def _calls(self) -> ToolCalls:
        process, transcript, journal = self._process, self._transcript, self._journal
        approvals = ApprovalCheck(
            self._person,
            process.asks_first,
            transcript,
            journal,
            ApprovalPrompts(transcript, journal.keep_file),
            Titles(self._person, transcript, process.toolbox, process.asks_first),
            self._interrupts,
        )
        return ToolCalls(
            self._tools,
            transcript,
            journal,
            self._interrupts,
            approvals,
            CallExecution(self._person, journal, self._interrupts),
            call_of=process.model.call_of,
            tell=self._reports.happened,
            clock=process.clock,
        )

    def _model_step(self) -> ModelStep:
        process, turn = self._process, self._turn
        requests = ModelRequests(
            turn.person_id, process.instructions, self._transcript, self._tools, self._files, self._recovery
        )
        return ModelStep(
            process.model,
            requests,
            self._spending,
            self._interrupts,
            self._recovery,
            self._health,
            self._live,
            last_attempt=turn.failures >= process.limits.attempts - 1,
        )

    @contextmanager
    def _history_written_back(self) -> Iterator[None]:
        """The kernel keeps what the journal has, however the attempt ends."""
        try:
            yield
        finally:
            self._recovery.undo()
            self._kernel.history.replace(self._transcript.stored)
