"""Converts schedules between protobuf and the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.timestamp_pb2 import Timestamp
from kernel.v1 import schedules_pb2

from kernel_service.api import converters
from kernel_service.api.payloads import nanoseconds
from kernel_service.errors import CallerError
from kernel_service.ports.schedules import NewSchedule, ScheduleKind
from kernel_service.schedules.words import in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.api.pages import Page
    from kernel_service.ports.schedules import Schedule, ScheduleStore

_KINDS: Final = {
    schedules_pb2.SCHEDULE_KIND_REMIND: ScheduleKind.REMIND,
    schedules_pb2.SCHEDULE_KIND_DO: ScheduleKind.DO,
}
SHOWN_KINDS: Final = {kind: shown for shown, kind in _KINDS.items()}


def new_schedule(request: schedules_pb2.CreateScheduleRequest, channel: str) -> NewSchedule:
    """For the person's chat in this channel. Raises `CallerError` FIELD_REQUIRED or FIELD_INVALID."""
    return NewSchedule(
        _kind(request.kind),
        converters.plain(converters.required(request.request, "request"), "request"),
        channel,
        converters.plain(request.address, "address"),
        converters.plain(request.time_zone, "time_zone"),
        cron=converters.plain(request.cron, "cron"),
        at=nanoseconds(request.at, "at") / 1e9 if request.HasField("at") else None,
    )


def _kind(given: schedules_pb2.ScheduleKind.ValueType) -> ScheduleKind:
    if given == schedules_pb2.SCHEDULE_KIND_UNSPECIFIED:
        raise CallerError("FIELD_REQUIRED", "`kind` must be SCHEDULE_KIND_REMIND or SCHEDULE_KIND_DO", field="kind")
    if given not in _KINDS:
        raise CallerError("FIELD_INVALID", "`kind` is unknown", field="kind")
    return _KINDS[given]


def schedule(given: Schedule, *, now: float, with_request: bool = True) -> schedules_pb2.Schedule:
    asked = given.asked
    shown = schedules_pb2.Schedule(
        id=given.id,
        kind=SHOWN_KINDS[asked.kind],
        request=asked.request if with_request else "",
        time_zone=asked.time_zone,
        next_due_at=converters.timestamp(given.next_due_at),
        paused_at=converters.timestamp(given.paused_at),
        created_at=converters.timestamp(given.created_at),
        description=in_words(asked, given.next_due_at, now=now),
    )
    if asked.cron:
        shown.cron = asked.cron
    else:
        shown.at.CopyFrom(converters.timestamp(asked.at) or Timestamp())
    return shown


async def page_of(store: ScheduleStore, person_id: str, page: Page) -> tuple[Sequence[Schedule], str]:
    """The page, and the token of the next one."""
    rows = await store.of_person(person_id, after=page.after, limit=page.size + 1)
    shown = rows[: page.size]
    return shown, page.next_token(shown[-1].id if len(rows) > page.size else "")
