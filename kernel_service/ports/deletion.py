"""The store's ports for people whom an operator deletes, and for what the tools' vendor must remove then."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

REDELIVERY_DAYS: Final = 8
"""WhatsApp redelivers for up to 7 days. For this long a message of a person who was deleted is not answered again."""


@dataclass(frozen=True, slots=True)
class DeletionStep:
    """The result of one transaction of a deletion.

    `people`: the person and those who were merged into them. `unanswered`: the messages, by seq, that no turn will
    answer. `revocations`: how much the vendor must remove. `is_last`: nothing of them is left.
    """

    people: tuple[str, ...]
    is_last: bool
    rows: Counter[str] = field(default_factory=Counter)
    """By table."""
    unanswered: tuple[int, ...] = ()
    revocations: int = 0


class DeletionStore(Protocol):
    """Each method is one transaction, answered after its commit. Times are epoch seconds."""

    async def begin(self, person_id: str, *, now: float) -> DeletionStep:
        """Make the person unreachable, destroy their key, and delete a first part of what is stored.

        No message, turn, event or schedule finds them afterwards, and no turn of theirs writes. If a deletion has
        begun before, this is its next step. NotFound PERSON_NOT_FOUND: also if they are deleted.
        """
        ...

    async def go_on(self, people: Sequence[str], *, now: float) -> DeletionStep:
        """Delete a further part, as many rows as delay others little."""
        ...

    async def unfinished(self, *, before: float) -> list[str]:
        """People whose deletion began before this time and is not finished."""
        ...

    def forget_key(self, person_id: str) -> None:
        """Forget the person's opened key in this process."""
        ...


class RevocationKind(StrEnum):
    ACCOUNT = "account"
    """With the triggers that watch it."""
    SESSION = "session"
    TRIGGER = "trigger"


@dataclass(frozen=True, slots=True)
class Revocation:
    """Something of a deleted person, or a session that was replaced, that the vendor still has, by its id there."""

    kind: RevocationKind
    vendor_id: str


class RevocationStore(Protocol):
    async def due(self, *, after: str = "", limit: int) -> list[Revocation]:
        """By the vendor's id, those after `after`."""
        ...

    async def done(self, vendor_id: str) -> None:
        """The vendor no longer has it."""
        ...
