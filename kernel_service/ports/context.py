"""The store's port for what the model is shown of a person's history."""

from __future__ import annotations

from typing import Protocol


class ContextStore(Protocol):
    async def shrink(self, person_id: str, epoch: int, *, keep: int, tokens: int = 0) -> None:
        """Have the model be shown only the last `keep` items of those that are stored, from now on and for good.

        The others stay in the history, and `Activation.history` leaves them out. It never shows again what it did not.
        `tokens` bounds what is shown from now on (`Activation.context_tokens`); 0 leaves the bound as it is.
        """
        ...

    async def reset(self, person_id: str) -> str:
        """Have the model be shown nothing of what is stored, except what the open turn has journaled itself.

        An open turn that was put off may run at once. No item is read, so a damaged one is no obstacle. Not fenced:
        the owner has to read the history again. The person, or the one into whom they were merged. NotFound
        PERSON_NOT_FOUND; Unreadable, if nothing of the person's opens.
        """
        ...

    async def disown_reasoning(self, person_id: str, epoch: int, origin: str) -> None:
        """Give what this origin has said so far a foreign origin: the vendor opens its reasoning no more."""
        ...
