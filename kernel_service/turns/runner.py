"""Runs a person's next turn: what every turn of this process shares, and the answers that need no model."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kernel_service import texts
from kernel_service.turns.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.kernels.kernel import Kernel
    from kernel_service.kernels.store import JournalStore, TurnMessage, TurnRecord
    from kernel_service.turns.limits import Limits
    from kernel_service.turns.model import Model
    from kernel_service.turns.tools import Toolbox

SILENT_KINDS = frozenset({"reaction", "revoke"})
"""Nobody expects an answer to these alone."""

SPOKEN_KINDS = frozenset({"text", "choice", "edit", *SILENT_KINDS})
"""What the model can be asked about. Anything else is answered by a fixed sentence."""


@dataclass(slots=True)
class TurnRunner:
    """Fills the kernel map's port `Turns`.

    `ended` is told of each turn that ended, `replies_ready` of each channel that has something to deliver.
    """

    store: JournalStore
    model: Model
    toolbox: Toolbox
    limits: Limits
    instructions: str
    debounce: float
    clock: Callable[[], float]
    ended: Callable[[TurnRecord], None]
    replies_ready: Callable[[str], None]
    spread: random.Random = field(default_factory=random.Random)

    async def run_next(self, kernel: Kernel) -> float | None:
        """Run the turn that is due. When to come back (epoch seconds), or None when nothing waits."""
        now = self.clock()
        due = await self.store.next_turn(kernel.person_id, kernel.epoch, now=now, debounce=self.debounce)
        if due is None or isinstance(due, float):
            return due
        await Turn(self, kernel, due).run()
        return now  # more may have come meanwhile, or the turn was held: look again

    async def fixed_answer(self, turn: TurnRecord) -> list[str] | None:
        """The sentences that answer a turn without the model; None: ask the model."""
        kinds = [payload_kind(message) for message in turn.messages]
        if not turn.begun and not any(kind in SPOKEN_KINDS - SILENT_KINDS for kind in kinds):
            return list(dict.fromkeys(texts.unsupported(kind) for kind in kinds if kind not in SILENT_KINDS))
        if not turn.begun and await self._budget_spent(turn.person_id):
            return [texts.BUDGET_SPENT]
        return None

    async def _budget_spent(self, person_id: str) -> bool:
        now, limits = self.clock(), self.limits
        for whose, budget in ((person_id, limits.daily_tokens_per_person), (None, limits.daily_tokens)):
            if budget and await self.store.spent_today(whose, now=now) >= budget:
                return True
        return False


def payload_kind(message: TurnMessage) -> str:
    """The kind of content: `text`, `image`, … For `unsupported` the kind that the channel could not pass on."""
    beside = {"caption", "quoted_message_id", "sent_at"}
    kind = next(key for key in message.content if key not in beside)
    return str(message.content[kind].get("kind", kind)) if kind == "unsupported" else kind
