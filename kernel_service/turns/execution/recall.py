"""The facts about the person, shown to the model where its context lacks them.

The facts are shown once in a context: in the first turn, and again after the context was shortened or started over.
Later changes are calls of the model in the same context, so that no other item repeats them and none that was sent ever
changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service import texts
from kernel_service.turns.journal.store_retries import until_stored

if TYPE_CHECKING:
    from kernel_service.ports.memory import Memory, MemoryStore
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.context.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Recall:
    """Of one turn."""

    turn: Turn
    transcript: Transcript
    store: MemoryStore

    async def show(self) -> None:
        """Show the facts beside the newest messages, unless the context shows them already."""
        if self.transcript.may_recall:
            self.transcript.recall((await self._memory()).facts)

    async def listed(self) -> str:
        """The sentence that lists it for the person."""
        known = await self._memory()
        facts = ((each.number, each.label.value, each.text) for each in known.facts)
        return texts.memory.listed(facts, known.time_zone, said_zone=known.said_zone)

    async def _memory(self) -> Memory:
        return await until_stored(lambda: self.store.of_person(self.turn.person_id))

    async def forget(self, numbers: list[int] | None) -> None:
        """Delete these facts, or all of them and the time zone that the person said, and show the model the rest."""
        person_id = self.turn.person_id
        await until_stored(lambda: self.store.forget(person_id, numbers))
        if numbers is None:
            await until_stored(lambda: self.store.move_to(person_id, ""))
        self.transcript.recall((await self._memory()).facts)
