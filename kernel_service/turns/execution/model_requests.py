"""The request that the model gets next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.ports.model import ModelRequest
from kernel_service.turns.context.instructions import WITHOUT_TOOLS, instructions, person_key

if TYPE_CHECKING:
    from kernel_service.turns.calls.available_tools import AvailableTools
    from kernel_service.turns.compaction_rule import CompactionRule
    from kernel_service.turns.context.context_window import ContextWindow
    from kernel_service.turns.files.turn_files import TurnFiles
    from kernel_service.turns.refusals.recovery import Recovery


@dataclass(slots=True)
class ModelRequests:
    """Of one turn. `own_instructions` are the bot developer's."""

    person_id: str
    own_instructions: str
    window: ContextWindow
    tools: AvailableTools
    files: TurnFiles
    recovery: Recovery
    compaction: CompactionRule

    def next(self) -> ModelRequest:
        told = instructions(self.own_instructions)
        shown = self.window.shown()
        most, turns = shown.most_tokens, shown.turns
        return ModelRequest(
            instructions=f"{told}\n\n{WITHOUT_TOOLS}" if self.tools.unreachable else told,
            items=shown.lines,
            tools=self.tools.schemas,
            person_key=person_key(self.person_id),
            max_output_tokens=self.recovery.output_tokens,
            files=self.files.for_model() if self.files.any else {},
            compact_at=self.compaction.compact_at(tokens=most, turns=turns, limit=self.window.limit)
            if self.recovery.asks_for_compaction
            else 0,
        )
