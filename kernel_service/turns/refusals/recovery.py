"""Recovery from a refusal of the model, or from an empty answer: the turn changes the request and repeats it.

Each change is made once in a turn, or makes the request strictly smaller, so a turn always ends. Once the model
answers, the lesson of a refusal is stored with the person: the start of the context, its size, and which reasoning is
foreign. If the model does not answer, the history was not the cause and stays.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kernel_service.kernels.kernel import MOST_FAILED_COMPACTIONS
from kernel_service.ports.model import CONTEXT_TOO_LONG, FOREIGN_REASONING
from kernel_service.ports.turns import COMPACTION

if TYPE_CHECKING:
    from collections import Counter

    from kernel_service.ports.model import ModelAnswer, ModelRejectedError
    from kernel_service.turns.calls.available_tools import AvailableTools
    from kernel_service.turns.compaction_rule import CompactionRule
    from kernel_service.turns.context.context_window import ContextWindow
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.files.turn_files import TurnFiles
    from kernel_service.turns.journal.turn_journal import TurnJournal

log = logging.getLogger(__name__)

RAISED: Final = 2
"""The factor on the output tokens after the model used them all for reasoning."""


@dataclass(slots=True)
class Recovery:
    """Of one turn. `output_tokens` limits an answer; `taken` counts the changes that were made."""

    transcript: Transcript
    window: ContextWindow
    journal: TurnJournal
    files: TurnFiles
    tools: AvailableTools
    compaction: CompactionRule
    output_tokens: int
    taken: Counter[str]
    _once: set[str] = field(init=False, default_factory=set)
    _smaller_on_trial: bool = field(init=False, default=False)
    _answer_on_trial: bool = field(init=False, default=False)
    _uncompacted_on_trial: bool = field(init=False, default=False)

    # --- a refusal ----------------------------------------------------------------------------------------------

    async def recover(self, rejected: ModelRejectedError) -> bool:
        """Whether to repeat the request with a change. False: nothing is left to leave out."""
        if rejected.code == FOREIGN_REASONING and await self._without_reasoning():
            return self._note("without_reasoning")
        if self.tools.leave_out(rejected):
            return self._note("without_tool")
        if rejected.code == CONTEXT_TOO_LONG:
            return await self._smaller(rejected)
        if await self.files.leave_out(rejected):
            return self._note("without_files")
        return self._retry_without_history()

    async def _without_reasoning(self) -> bool:
        is_compacted = any(item.kind == COMPACTION for item in self.window.seen)
        origin = self.window.disown()
        if not origin:
            return False
        self.journal.kernel.failed_compactions += is_compacted
        await self.journal.disown(origin)
        return True

    async def _smaller(self, rejected: ModelRejectedError) -> bool:
        """Leave out history first, since it grows; then files; then results, messages and tools."""
        if "smaller" in self._once and await self.files.leave_out(rejected):
            return self._note("without_files")
        if self.window.halve():
            self._smaller_on_trial = True
            self._once.add("smaller")
            return self._note("smaller")
        if await self.files.leave_out(rejected):
            return self._note("without_files")
        return self._first("without_tools") and self.tools.withhold_all() and self._note("without_tools")

    def _retry_without_history(self) -> bool:
        """For an unexplained refusal: a cause in the history must not leave the person without an answer."""
        if self.retries_without_history():
            return True
        self.window.show_older()
        return False

    def retries_without_history(self) -> bool:
        """Whether to repeat the request without a compaction that is due, or without the history, each once in a turn.

        Both are on trial.
        """
        return self._uncompacted() or self._afresh()

    @property
    def asks_for_compaction(self) -> bool:
        """Whether the vendor may compact the next request."""
        return not (self._uncompacted_on_trial or self.journal.kernel.summarises)

    def _uncompacted(self) -> bool:
        shown = self.window.shown()
        is_due = self.compaction.is_due(tokens=shown.most_tokens, turns=shown.turns, limit=self.window.limit)
        if not (is_due and self.window.model.compacts and self.asks_for_compaction and self._first("uncompacted")):
            return False
        self._uncompacted_on_trial = True
        return self._note("uncompacted")

    def _afresh(self) -> bool:
        self._uncompacted_on_trial = False
        return self._first("afresh") and self.window.hide_older() and self._note("afresh")

    async def answered(self) -> None:
        """The model has answered: items left out on trial stay out."""
        if self._answer_on_trial:
            self.window.show_older()
            return
        if self._uncompacted_on_trial:
            log.warning("model fails to compact: this process summarises the conversation itself")
            self.journal.kernel.failed_compactions = MOST_FAILED_COMPACTIONS
        left_behind = self.window.drop_hidden()
        if left_behind:
            log.warning("history dropped from the context: the model refuses it")
        if left_behind or self._smaller_on_trial:
            await self.journal.shrink()
        self._smaller_on_trial = False

    def undo(self) -> None:
        """The model has not answered even the smallest request: the history was not the cause."""
        if self._smaller_on_trial:
            self.window.undo_smaller()
        self._smaller_on_trial = False

    # --- an answer ----------------------------------------------------------------------------------------------

    def asks_again(self, answer: ModelAnswer) -> bool:
        """Whether to repeat the request after an empty or filtered answer."""
        if not (answer.says_nothing or answer.filtered) or self.transcript.has_something_for_the_person():
            return False
        if answer.flaw:
            log.warning("model answer empty: %s", answer.flaw)
        if answer.cut:
            return self._with_more_tokens()
        if answer.filtered:
            return self._without_history()
        return self._first("asked_again") and self._note("asked_again")

    def _with_more_tokens(self) -> bool:
        if not self._first("more_tokens"):
            return False
        self.output_tokens *= RAISED
        return self._note("more_tokens")

    def _without_history(self) -> bool:
        """For this answer alone: a filtered answer does not prove that the history is the cause."""
        self._answer_on_trial = self._afresh()
        return self._answer_on_trial

    # --- bookkeeping --------------------------------------------------------------------------------------------

    def _first(self, way: str) -> bool:
        first = way not in self._once
        self._once.add(way)
        return first

    def _note(self, way: str) -> bool:
        self.taken[way] += 1
        return True
