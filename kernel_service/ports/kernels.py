"""What a kernel starts from, and the store's port for whose kernel it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel_service.ports.turns import HistoryItem


@dataclass(frozen=True, slots=True)
class Activation:
    """What a kernel starts from. `epoch` is one more than ever before for this person.

    `context_tokens` bounds what the model is shown of the history; 0: no less than anybody's.
    """

    person_id: str
    epoch: int
    history: list[HistoryItem]
    context_tokens: int = 0


class KernelStore(Protocol):
    """The lease of each person: which process owns their kernel, under which epoch."""

    async def activate(self, person_id: str, *, owner: str) -> Activation:
        """Take the person's lease (epoch + 1) and read their history.

        NotFound PERSON_NOT_FOUND; LeaseLost if they were merged into another.
        """
        ...

    async def release(self, person_id: str, epoch: int) -> None:
        """Give the lease back; nothing if it is not ours any more."""
        ...

    async def release_all(self, leases: Mapping[str, int]) -> None:
        """As `release`, for person → epoch, in one transaction."""
        ...

    async def epoch(self, person_id: str) -> int:
        """The epoch as stored, 0 before the first activation. NotFound PERSON_NOT_FOUND."""
        ...
