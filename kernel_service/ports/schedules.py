"""The port of a person's schedules: requests that are due once, or again and again. Times are epoch seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class ScheduleKind(StrEnum):
    REMIND = "remind"
    """The request is sent to the person as it is, without a model."""
    DO = "do"
    """The request is a turn of the person's assistant."""


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """A schedule as it is asked for. Either `cron` (five fields) or `at` (once) is given.

    `time_zone`: that of the cron fields and of what the person is shown, by its IANA name. `channel` and `address`:
    the chat that its replies go to. `tainted`: the model had seen content from outside when it made the schedule.
    """

    kind: ScheduleKind
    request: str = field(repr=False)
    channel: str
    address: str
    time_zone: str = field(repr=False)
    cron: str = ""
    at: float | None = None
    tainted: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """A stored schedule. `next_due_at` is None while it is paused."""

    id: str
    asked: NewSchedule
    created_at: float
    next_due_at: float | None
    paused_at: float | None = None


class ScheduleStore(Protocol):
    """Each method is one transaction, answered after its commit. NotFound PERSON_NOT_FOUND: no such person."""

    async def create(self, person_id: str, new: NewSchedule, *, request_id: str, now: float) -> Schedule:
        """Store a schedule that was checked. Idempotent: a repeat of the `request_id` returns the first one.

        AlreadyExists: the same request_id, with another schedule. Exhausted: the person has too many.
        """
        ...

    async def of_person(self, person_id: str, *, after: str = "", limit: int) -> Sequence[Schedule]:
        """The oldest first, from the one after this id."""
        ...

    async def delete(self, person_id: str, schedule_id: str) -> Schedule | None:
        """The deleted schedule; None: the person has none of this id. A run that is waiting is withdrawn."""
        ...
