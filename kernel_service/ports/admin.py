"""The store's port for operators: what was spent, turns and replies, what was given up. As in store.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from kernel_service.ports.messages import Usage
    from kernel_service.ports.turns import TurnStatus


@dataclass(frozen=True, slots=True)
class ToolUsage:
    """All calls of a tool on a day."""

    tool: str
    calls: int
    failures: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DayUsage:
    """What was spent on a day (in days since 1970-01-01, UTC), the tools by name."""

    day: int
    usage: Usage
    tools: list[ToolUsage]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up, by its number in the inbox. `problem` is a short code. Times are epoch seconds."""

    id: str
    person_id: str
    seq: int
    problem: str
    dead_at: float


@dataclass(frozen=True, slots=True)
class TurnSummary:
    """A turn as an operator sees it, and its messages by their numbers in the inbox."""

    id: str
    status: TurnStatus
    messages: list[int]
    started_at: float
    ended_at: float | None
    not_before: float | None
    attempts: int
    usage: Usage
    problem: str


@dataclass(frozen=True, slots=True)
class PartView:
    part: int
    sent: bool
    receipt: str
    error_code: str


@dataclass(frozen=True, slots=True)
class ReplyView:
    """A reply as an operator sees it; `answers` is a message's number in the inbox.

    `state`: pending leased in_doubt sent failed held inline.
    """

    id: str
    turn_id: str
    answers: int | None
    channel: str
    state: str
    parts: list[PartView]
    created_at: float
    settled_at: float | None
    attempts: int
    error_code: str


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A master key by its id, and what it seals: people's data keys, the service's secrets, ids that await a person."""

    key_id: str
    current: bool
    configured: bool
    people: int
    secrets: int
    awaiting: int

    @property
    def rows(self) -> int:
        return self.people + self.secrets + self.awaiting

    @property
    def removable(self) -> bool:
        """The service starts without it, and everything is read."""
        return self.configured and not (self.current or self.rows)


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation has done so far: keys sealed with the current master key, values sealed for their places, people
    whose values all are; and keys and values that do not open, which stay as they are.
    """

    keys: int = 0
    values: int = 0
    people: int = 0
    unreadable: int = 0

    def __add__(self, more: Rotated) -> Rotated:
        return Rotated(
            self.keys + more.keys,
            self.values + more.values,
            self.people + more.people,
            self.unreadable + more.unreadable,
        )


class OperatorStore(Protocol):
    async def key_use(self) -> tuple[list[KeyUse], int]:
        """The master keys, and the people some of whose values are not sealed for their places yet."""
        ...

    def rotate_keys(self) -> AsyncGenerator[Rotated]:
        """Seal with the current master key what others have sealed, and for its place what is not. After each
        transaction: what was done so far. It may be cut anywhere, run again, and run twice at once.
        """
        ...

    async def turn_summaries(
        self, person_id: str, *, limit: int, before: str
    ) -> tuple[list[TurnSummary], list[tuple[int, float]], str]:
        """Newest first; the waiting messages (number, accepted_at); the token of the next page or ''."""
        ...

    async def dead_letters(self, person_id: str | None, *, limit: int, before: str) -> tuple[list[DeadLetter], str]:
        """Those that were not requeued, newest first, of one person or of all; the token of the next page or ''."""
        ...

    async def requeue(self, dead_letter_id: str, *, now: float) -> str:
        """Let the message run again, alone; the person to wake. Idempotent. NotFound DEAD_LETTER_NOT_FOUND."""
        ...

    async def replies(self, person_id: str, *, limit: int, before: str) -> tuple[list[ReplyView], str]: ...
