"""What a turn answers a refusal of the model with, or an answer that says nothing: it asks differently.

Each way is taken once in a turn, or makes what is shown strictly smaller: so a turn always ends. What a refusal has
taught is kept with the person once the model answers, so that it is not taught again: where the context begins, how
large it may be, and whose reasoning is foreign. If it does not answer, the history was not to blame and stays.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kernel_service.ports.model import CONTEXT_TOO_LONG, FOREIGN_REASONING

if TYPE_CHECKING:
    from collections import Counter

    from kernel_service.ports.model import ModelAnswer, ModelRejectedError
    from kernel_service.turns.calls.available_tools import AvailableTools
    from kernel_service.turns.context.context_window import ContextWindow
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.files.turn_files import TurnFiles
    from kernel_service.turns.journal.turn_journal import TurnJournal

log = logging.getLogger(__name__)

RAISED: Final = 2
"""How much more the model may say when it has used up its tokens with reasoning."""


@dataclass(slots=True)
class Recovery:
    """Of one turn. `output_tokens` is what the model may say; `taken` counts the ways that were taken."""

    transcript: Transcript
    window: ContextWindow
    journal: TurnJournal
    files: TurnFiles
    tools: AvailableTools
    output_tokens: int
    taken: Counter[str]
    _once: set[str] = field(init=False, default_factory=set)
    _smaller_on_trial: bool = field(init=False, default=False)
    _answer_on_trial: bool = field(init=False, default=False)

    # --- a refusal ----------------------------------------------------------------------------------------------

    async def mend(self, rejected: ModelRejectedError) -> bool:
        """Whether to ask again, differently. False: whatever the turn could leave out, it has."""
        if rejected.code == FOREIGN_REASONING and await self._without_reasoning():
            return self._note("without_reasoning")
        if self.tools.leave_out(rejected):
            return self._note("without_tool")
        if rejected.code == CONTEXT_TOO_LONG:
            return await self._smaller(rejected)
        if await self.files.spoil(rejected):
            return self._note("without_files")
        return self._afresh()

    async def _without_reasoning(self) -> bool:
        origin = self.window.disown()
        if origin:
            await self.journal.disown(origin)
        return bool(origin)

    async def _smaller(self, rejected: ModelRejectedError) -> bool:
        """The history first, since it is what grows; then files; then results, messages and tools."""
        if "smaller" in self._once and await self.files.spoil(rejected):
            return self._note("without_files")
        if self.window.halve():
            self._smaller_on_trial = True
            self._once.add("smaller")
            return self._note("smaller")
        if await self.files.spoil(rejected):
            return self._note("without_files")
        return self._first("without_tools") and self.tools.withhold_all() and self._note("without_tools")

    def _afresh(self) -> bool:
        """Nobody knows what the vendor does not like: if it is in what was said before, the person must not suffer."""
        if self.begins_afresh():
            return True
        self.window.show_older()
        return False

    def begins_afresh(self) -> bool:
        """Whether to ask again without what was said before, on trial; once."""
        return self._first("afresh") and self.window.hide_older() and self._note("afresh")

    async def answered(self) -> None:
        """The model has answered: what was left out on trial stays out."""
        if self._answer_on_trial:
            self.window.show_older()
            return
        left_behind = self.window.drop_hidden()
        if left_behind:
            log.warning("history left behind: the model refuses it")
        if left_behind or self._smaller_on_trial:
            await self.journal.shrink()
        self._smaller_on_trial = False

    def undo(self) -> None:
        """The model has not answered, however little it was shown: the history was not to blame."""
        if self._smaller_on_trial:
            self.window.undo_smaller()
        self._smaller_on_trial = False

    # --- an answer ----------------------------------------------------------------------------------------------

    def asks_again(self, answer: ModelAnswer) -> bool:
        """Whether an answer that says nothing, or that a filter has taken, is to be asked for once more."""
        if self.transcript.has_something_for_the_person() or not (answer.says_nothing or answer.filtered):
            return False
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
        """For this answer alone: a filter is no proof that the fault is in what was said before."""
        self._answer_on_trial = self.begins_afresh()
        return self._answer_on_trial

    # --- the books ----------------------------------------------------------------------------------------------

    def _first(self, way: str) -> bool:
        first = way not in self._once
        self._once.add(way)
        return first

    def _note(self, way: str) -> bool:
        self.taken[way] += 1
        return True
