"""The store's port for the part of a person's history that the model is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.messages import Usage
    from kernel_service.ports.turns import HistoryItem


class ContextStore(Protocol):
    async def shrink(self, person_id: str, epoch: int, *, keep: int, tokens: int = 0, tainted: bool = False) -> None:
        """Permanently limit the context to the last `keep` stored items and to later ones.

        The other items stay in the history, and `Activation.history` leaves them out. They are never shown again.
        `tokens` limits the size of the context (`Activation.context_tokens`); 0 leaves the limit unchanged.
        `tainted`: the newest input of the open turn counts as from outside, since the cause may be left out.
        """
        ...

    async def reset(self, person_id: str) -> str:
        """Exclude all stored items from the context, except those that the open turn has journaled.

        An open turn that is held may run at once. No item is read, so a damaged one is not an obstacle. Not fenced: the
        owner must read the history again. Returns the person, or the one into whom they were merged. NotFound
        PERSON_NOT_FOUND; Unreadable, if no value of the person can be opened.
        """
        ...

    async def outdate(self, person_id: str) -> bool:
        """Let the owner read the history again before the person's next turn. False: an attempt is running.

        Call it after a reset, until it returns True, if the owner may be another process.
        """
        ...

    async def disown_reasoning(self, person_id: str, epoch: int, origin: str) -> None:
        """Mark the items of this origin so far as foreign, because the vendor no longer opens what it has sealed."""
        ...

    async def keep_summary(
        self,
        person_id: str,
        epoch: int,
        turn_id: str,
        summary: HistoryItem | None,
        *,
        usage: Usage,
        settles: Sequence[str] = (),
        now: float,
    ) -> bool:
        """Append a summary of the whole context after this turn, which has ended. None: only its cost is kept.

        The usage is added to the person's day, instead of the reservations that it `settles`. Returns False, without a
        summary, if the context was reset or another turn has begun.
        """
        ...

    async def ended_turns(self, person_id: str, epoch: int, model: str) -> list[HistoryItem]:
        """The items of the ended turns in the context, as `activate` reads them. `model` is the origin of the model."""
        ...
