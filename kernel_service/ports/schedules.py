"""The port of a person's schedules: requests that are due once, or again and again. Times are epoch seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

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

    `time_zone`: that of the cron fields and of what the person is shown, by its IANA name; empty: the person's own.
    `channel` and `address`: the chat that its replies go to; no address: the one to which the person wrote last.
    `tainted`: the model had seen content from outside when it made the schedule.
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


MOST_SILENT: Final = 5
"""A schedule that recurs is paused after this many runs without a word of the person."""


class Ran(NamedTuple):
    """The people who have a new message, and whether that were all schedules that may run now."""

    people: Sequence[str]
    is_all: bool


class ScheduleStore(Protocol):
    """Each method is one transaction, answered after its commit. NotFound PERSON_NOT_FOUND: no such person."""

    async def create(self, person_id: str, new: NewSchedule, *, request_id: str, now: float) -> Schedule:
        """Check a schedule (schedules.checking) and store it. A repeat of the `request_id` returns the first one.

        CallerError FIELD_REQUIRED, FIELD_INVALID or SCHEDULE_INVALID: it is refused. AlreadyExists REQUEST_ID_REUSED:
        the same request_id, with another schedule. Exhausted TOO_MANY_SCHEDULES.
        """
        ...

    async def of_person(self, person_id: str, *, after: str = "", limit: int) -> Sequence[Schedule]:
        """The oldest first, from the one after this id."""
        ...

    async def delete(self, person_id: str, schedule_id: str, *, now: float) -> Schedule | None:
        """The deleted schedule; None: the person has none of this id.

        A run that is waiting is withdrawn, and a reply to one that is held is not sent any more.
        """
        ...

    async def resume(self, person_id: str, *, now: float) -> Sequence[Schedule]:
        """The person's paused schedules run again, from their next time on. Returns them."""
        ...

    async def run_due(self, *, now: float, limit: int, most_waiting: int) -> Ran:
        """Put a run of each due schedule into its person's inbox, once.

        At most `limit` schedules are taken, reminders first, and those that are due the longest. Others than reminders
        are left for later while `most_waiting` runs wait for their answer. See schedules.missed for the runs that are
        not made; none is made while the one before waits. A schedule that recurs is paused instead of a run after
        MOST_SILENT runs without a word of the person: they are told when they write next. For a person who is not on
        the operator's list now, a run of a schedule that recurs is left out, and one that runs once is put off.
        """
        ...
