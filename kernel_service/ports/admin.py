"""The store's port for operators: usage, turns, replies and dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kernel_service.ports.connections import SessionStore
    from kernel_service.ports.kernels import KernelStore
    from kernel_service.ports.keys import KeyStore
    from kernel_service.ports.messages import Usage
    from kernel_service.ports.people import PeopleStore
    from kernel_service.ports.schedules import ScheduleStore
    from kernel_service.ports.spending import SpendingStore
    from kernel_service.ports.states.part import PartState
    from kernel_service.ports.states.reply import ReplyState
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
    """The usage of one day (in days since 1970-01-01, UTC), with the tools by name."""

    day: int
    usage: Usage
    tools: list[ToolUsage]


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages that wait for their answer, and replies that wait for a channel: how many, and the age of the oldest.

    `revocations`: how much of deleted people, and how many unused sessions, the tools' vendor must still remove.
    """

    messages: int
    oldest_message_seconds: float
    replies: int
    oldest_reply_seconds: float
    revocations: int


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
    receipt: PartState
    error_code: str


@dataclass(frozen=True, slots=True)
class ReplyView:
    """A reply as an operator sees it; `answers` is a message's number in the inbox."""

    id: str
    turn_id: str
    answers: int | None
    channel: str
    state: ReplyState
    parts: list[PartView]
    created_at: float
    settled_at: float | None
    attempts: int
    error_code: str


class AdminStore(Protocol):
    """A person's turns and replies, and dead letters. Page tokens are opaque."""

    async def turns(
        self, person_id: str, *, limit: int, before: str
    ) -> tuple[list[TurnSummary], list[tuple[int, float]], str]:
        """Newest first; the waiting messages (number, accepted_at); the token of the next page or ''."""
        ...

    async def replies(self, person_id: str, *, limit: int, before: str) -> tuple[list[ReplyView], str]:
        """Newest first. CallerError FIELD_INVALID: `before` is not a token of an earlier page."""
        ...

    async def dead_letters(self, person_id: str | None, *, limit: int, before: str) -> tuple[list[DeadLetter], str]:
        """Those that were not requeued, newest first, of one person or of all; the token of the next page or ''."""
        ...

    async def backlog(self, *, now: float) -> Backlog:
        """Of all people. A reply that must wait (a closed window, a retry) does not count."""
        ...

    async def requeue(self, dead_letter_id: str, *, now: float) -> str:
        """Let the message run again, alone. Returns the person to wake. Idempotent. NotFound DEAD_LETTER_NOT_FOUND."""
        ...


class AdminStores(Protocol):
    """The ports that operators use."""

    @property
    def admin(self) -> AdminStore: ...
    @property
    def kernels(self) -> KernelStore: ...
    @property
    def people(self) -> PeopleStore: ...
    @property
    def sessions(self) -> SessionStore: ...
    @property
    def spending(self) -> SpendingStore: ...
    @property
    def keys(self) -> KeyStore: ...
    @property
    def schedules(self) -> ScheduleStore: ...
