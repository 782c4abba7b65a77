"""The store's port for the export of a person: everything that is stored of them, as records. Times: epoch seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kernel_service.ports.admin import TurnSummary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.admin import DayUsage, DeadLetter, ReplyView, ToolUsage
    from kernel_service.ports.connections import Connection
    from kernel_service.ports.memory import Fact
    from kernel_service.ports.messages import Alias, MessageStatus, ReplyMode, StoredReply
    from kernel_service.ports.payloads import Payload
    from kernel_service.ports.schedules import Schedule


@dataclass(frozen=True, slots=True)
class ExportedPerson:
    """`merged`: the people who were merged into this one. `context_start`: the first item that the model sees."""

    id: str
    created_at: float
    merged: tuple[str, ...]
    reported_time_zone: str = field(repr=False)
    said_time_zone: str = field(repr=False)
    stopped_at: float | None
    context_start: int


@dataclass(frozen=True, slots=True)
class ExportedAlias:
    alias: Alias
    channel: str
    created_at: float
    linked_at: float | None
    replaced_at: float | None
    heard_at: float | None


@dataclass(frozen=True, slots=True)
class ExportedMessage:
    """`payload` is None if it is unreadable."""

    seq: int
    message_id: str = field(repr=False)
    channel: str
    address: str
    status: MessageStatus
    turn_id: str
    accepted_at: float
    sent_at: float
    command: str
    reply_mode: ReplyMode
    payload: Payload | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ExportedItem:
    """`data` is JSON; empty: it is unreadable."""

    seq: int
    turn_id: str
    kind: str
    origin: str
    created_at: float
    superseded: bool
    data: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ExportedReply:
    """`stored` is None if its content is unreadable."""

    view: ReplyView
    address: str
    stored: StoredReply | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ExportedDeadLetter:
    letter: DeadLetter
    requeued_at: float | None


@dataclass(frozen=True, slots=True)
class ExportedFact:
    fact: Fact
    created_at: float


@dataclass(frozen=True, slots=True)
class ExportedSchedule:
    schedule: Schedule
    last_run_at: float | None


@dataclass(frozen=True, slots=True)
class ExportedTrigger:
    id: str
    connection_id: str
    status: str
    kind: str
    name: str
    account: str
    request: str = field(repr=False)
    config: dict[str, Any] | None = field(repr=False)
    channel: str
    address: str
    created_at: float


@dataclass(frozen=True, slots=True)
class ExportedTriggerEvent:
    """`data` is None once it is in a message."""

    trigger_id: str
    received_at: float
    told_at: float | None
    data: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class ExportedConnection:
    """The last five tell of the attempt that made it, as long as it is stored."""

    connection: Connection
    attempt_state: str
    attempted_at: float | None
    channel: str
    address: str
    wrong_codes: int


@dataclass(frozen=True, slots=True)
class ExportedApproval:
    """`approved` is None while the person has not decided. `account`: the id of a connection."""

    id: str
    question_id: str
    turn_id: str
    tool: str
    arguments: dict[str, Any] | None = field(repr=False)
    account: str
    created_at: float
    expires_at: float
    approved: bool | None
    decided_in: str
    withdrawn_at: float | None


@dataclass(frozen=True, slots=True)
class ExportedPermission:
    tool: str
    account: str
    created_at: float


@dataclass(frozen=True, slots=True)
class ExportedParkedRequest:
    id: str
    turn_id: str
    toolkits: tuple[str, ...]
    remaining: str = field(repr=False)
    messages: tuple[Payload, ...] = field(repr=False)
    created_at: float
    resumed_by: int | None
    withdrawn_at: float | None


@dataclass(frozen=True, slots=True)
class ExportedInvitation:
    channel: str
    address: str
    asked_at: float


@dataclass(frozen=True, slots=True)
class ExportedUsage:
    usage: DayUsage
    replies: int


@dataclass(frozen=True, slots=True)
class ExportedToolUsage:
    day: int
    usage: ToolUsage


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """`chunks`: how many pieces its bytes have. A file of a tool has its type and name in its reply."""

    id: str
    message_seq: int
    reply_id: str
    mime_type: str
    filename: str = field(repr=False)
    state: str
    problem: str
    size: int
    chunks: int
    created_at: float
    transcript: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FileChunk:
    """The next bytes of the last file."""

    data: bytes = field(repr=False)


Record = (
    ExportedPerson
    | ExportedAlias
    | ExportedMessage
    | TurnSummary
    | ExportedItem
    | ExportedReply
    | ExportedDeadLetter
    | ExportedFact
    | ExportedSchedule
    | ExportedTrigger
    | ExportedTriggerEvent
    | ExportedConnection
    | ExportedParkedRequest
    | ExportedApproval
    | ExportedPermission
    | ExportedInvitation
    | ExportedUsage
    | ExportedToolUsage
    | ExportedFile
    | FileChunk
)


@dataclass(frozen=True, slots=True)
class Exported:
    """A record. `unreadable` names its fields whose stored values do not open; they are empty."""

    record: Record
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportPosition:
    """Where an export continues: the table, and the key of its last row; empty: its beginning."""

    table: int = 0
    after: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportPage:
    """The next records. `position` is None if they are the last ones."""

    records: Sequence[Exported]
    position: ExportPosition | None


class ExportStore(Protocol):
    """Each method is one short transaction that only reads.

    NotFound PERSON_NOT_FOUND: the person was deleted. Aborted PERSON_CHANGED: they were merged, or others into them.
    SealedValueDamaged, SealingKeyUnknown: the person's own key does not open.
    """

    async def person(self, person_id: str) -> tuple[ExportedPerson, tuple[str, ...]]:
        """The person, or the one into whom they were merged, and the unreadable fields."""
        ...

    async def page(self, person: ExportedPerson, position: ExportPosition) -> ExportPage:
        """The records of one table, by key."""
        ...

    async def chunk(self, person: ExportedPerson, file_id: str, number: int) -> bytes | None:
        """A piece of a file. None: it does not open, or was deleted meanwhile."""
        ...
