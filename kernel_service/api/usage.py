"""Usage by day: the requested days, and their wire form."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from google.type import date_pb2
from kernel.v1 import admin_pb2

from kernel_service.api import converters
from kernel_service.errors import CallerError

if TYPE_CHECKING:
    from kernel_service.ports.admin import DayUsage, ToolUsage

MOST_DAYS: Final = 366
_FIRST_DAY: Final = date(1970, 1, 1).toordinal()


def days(request: admin_pb2.GetUsageRequest, now: float) -> tuple[int, int]:
    """The first and the last day, counted from 1970-01-01. Raises `CallerError` FIELD_INVALID."""
    today = datetime.fromtimestamp(now, UTC).date()
    first = _day(request.from_day, today, "from_day")
    last = _day(request.to_day, today, "to_day")
    if not 0 <= last - first < MOST_DAYS:
        raise CallerError("FIELD_INVALID", f"`from_day` to `to_day` are 1 to {MOST_DAYS} days", field="to_day")
    return first, last


def _day(given: date_pb2.Date, today: date, field: str) -> int:
    try:
        day = date(given.year, given.month, given.day) if given.ByteSize() else today
    except ValueError:
        raise CallerError("FIELD_INVALID", f"`{field}` must have a year, a month and a day", field=field) from None
    return day.toordinal() - _FIRST_DAY


def daily(spent: DayUsage) -> admin_pb2.DailyUsage:
    return admin_pb2.DailyUsage(
        day=date_of(spent.day), usage=converters.usage(spent.usage), tools=map(tool, spent.tools)
    )


def date_of(day: int) -> date_pb2.Date:
    """Of a day that is counted from 1970-01-01."""
    shown = date.fromordinal(_FIRST_DAY + day)
    return date_pb2.Date(year=shown.year, month=shown.month, day=shown.day)


def tool(given: ToolUsage) -> admin_pb2.ToolUsage:
    return admin_pb2.ToolUsage(
        tool=given.tool, calls=given.calls, failures=given.failures, time=converters.duration(given.seconds)
    )
