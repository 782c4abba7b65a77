"""The port of a person's triggers: accounts that the vendor watches for events. Times are epoch seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Any, Final, Protocol

from kernel_service.ports.allow_list import EVERYONE, AllowList

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.ports.connections import Connection
    from kernel_service.ports.messages import Reply

MOST_WAITING: Final = 10
"""Events of a trigger that wait to be told. More are only counted."""

SETTLE_SECONDS: Final = 5.0


class TriggerStatus(StrEnum):
    CREATING = "creating"
    """Perhaps the vendor has it, and perhaps not."""
    ACTIVE = "active"
    ENDED = "ended"
    """Its events are ignored. The vendor must still remove it."""


@dataclass(frozen=True, slots=True)
class NewTrigger:
    """A trigger as it is asked for. `slug` is the vendor's name of the kind of event, `config` its settings.

    `request`: what the person wants done with each event. `name`: the kind of event in words. `account`: its toolkit's
    name, and the person's name for it if they have several. `channel` and `address`: the chat in which they asked.
    `tainted`: the model had seen content from outside when it wrote the request.
    """

    slug: str
    config: dict[str, Any] = field(repr=False)
    request: str = field(repr=False)
    name: str
    account: str
    channel: str
    address: str
    tainted: bool = False


@dataclass(frozen=True, slots=True)
class Trigger:
    """A stored trigger. `vendor_id` is empty until the vendor has said it."""

    id: str
    asked: NewTrigger
    connection_id: str
    status: TriggerStatus
    created_at: float
    vendor_id: str = ""


@dataclass(frozen=True, slots=True)
class EndedTrigger:
    """A trigger that the vendor must remove. `account_id` is the watched account, by the vendor's id."""

    id: str
    vendor_id: str
    account_id: str


@dataclass(frozen=True, slots=True)
class TriggerEvent:
    """An event as the vendor tells it. `holder` is the vendor's user of the account.

    `data` is JSON, bounded by `event_data.bounded`. Its words may have any author.
    """

    id: str
    vendor_id: str
    account_id: str
    holder: str
    data: Any = field(repr=False, default=None)


class EventOutcome(Enum):
    """The result of an event."""

    KEPT = auto()
    """Stored, now or before, or counted."""
    TOO_EARLY = auto()
    """It may belong to a trigger that is being created: the vendor must send it again."""
    NOT_OURS = auto()
    """No trigger of ours, or not with this account and this holder."""


@dataclass(frozen=True, slots=True)
class TriggerLimits:
    """`gather_seconds`: a trigger's events are told at most once in this time. `settle_seconds`: the wait for further
    events that come at the same time. `daily_messages`: the most of a person's messages about events in a day (UTC).

    Only people who are `allowed` are told, and only of accounts of these `toolkits`; none: of all.
    """

    gather_seconds: float = 300.0
    settle_seconds: float = SETTLE_SECONDS
    daily_messages: int = 20
    triggers: int = 20
    allowed: AllowList = EVERYONE
    toolkits: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ToldEvents:
    """The result for a trigger that was due. `seq` is the message in the inbox; None: none was put there.

    `notice_in` is the channel of a notice that the day's limit is reached; empty: there is none.
    """

    person_id: str
    seq: int | None = None
    notice_in: str = ""


class TriggerStore(Protocol):
    """Each method is one transaction, answered after its commit."""

    async def begin(self, connection: Connection, new: NewTrigger, *, now: float, most: int) -> Trigger:
        """Store that the trigger is about to be created. One with the same settings is returned as it is.

        Exhausted TOO_MANY_TRIGGERS; NotFound CONNECTION_NOT_FOUND: the connection is no longer active.
        """
        ...

    async def activate(self, trigger_id: str, vendor_id: str) -> Trigger | None:
        """Store the vendor's id. None: the trigger has ended meanwhile, and the vendor must remove it.

        Another trigger with that id, if there is one, is returned instead, and this one deleted.
        """
        ...

    async def abandon(self, trigger_id: str) -> None:
        """Delete a trigger that the vendor has refused."""
        ...

    async def of_person(self, person_id: str) -> Sequence[Trigger]:
        """The active ones, the oldest first."""
        ...

    async def end(self, person_id: str, trigger_id: str) -> EndedTrigger | None:
        """End a trigger of the person. None: they have none of this id."""
        ...

    async def end_watched(
        self, event: TriggerEvent, notice: Callable[[NewTrigger], Reply], *, now: float, limits: TriggerLimits
    ) -> str:
        """The vendor has stopped to watch: the trigger ends, and the person gets the notice if they are `allowed`.

        The channel of the notice; empty: that was known before, or it is no trigger of ours.
        """
        ...

    async def receive(self, event: TriggerEvent, *, now: float, limits: TriggerLimits) -> EventOutcome:
        """Store an event of an active trigger once. NOT_OURS also if its person is not `allowed`."""
        ...

    async def due(self, *, now: float, limit: int, most_waiting: int) -> Sequence[str]:
        """The triggers whose events are to be told, those that wait longest first.

        `most_waiting`: how many messages of the service may be answered at the same time.
        """
        ...

    async def tell(self, trigger_id: str, *, now: float, limits: TriggerLimits, limited: str) -> ToldEvents | None:
        """Put a due trigger's events into the person's inbox as one message. None: it is not due, or another node is
        doing it, or the message about earlier events is not answered yet.

        Above the limit of a day the events wait for the next day, and `limited` is sent to the person once. They also
        wait while `limits` do not allow to tell them.
        """
        ...

    async def lapse(self, *, before: float) -> int:
        """End those whose creation began before this time and did not complete. Returns how many."""
        ...

    async def to_remove(self, *, after: str = "", limit: int) -> Sequence[EndedTrigger]:
        """Ended triggers, ordered by id, those after `after`. No sealed value is opened."""
        ...

    async def known_at(self, account_id: str) -> Sequence[str] | None:
        """The vendor's ids of the account's triggers. None: one is being created, so that there may be another."""
        ...

    async def removed(self, trigger_id: str) -> None:
        """Delete an ended trigger that the vendor no longer has, with its events."""
        ...
