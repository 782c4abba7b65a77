"""Checks a schedule before it is stored, for the rpc and the tool alike. Each error says what to give instead."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from kernel_service.clock import DAY_SECONDS
from kernel_service.errors import CallerError
from kernel_service.schedules import recurrence
from kernel_service.schedules.recurrence import UnreadableCronError
from kernel_service.zones import zone_of

if TYPE_CHECKING:
    from kernel_service.ports.schedules import NewSchedule
    from kernel_service.schedules.limits import ScheduleLimits

MOST_REQUEST: Final = 1_000
"""The most characters of a request: a reminder is one message of a channel, with a button."""
YEAR_SECONDS: Final = 366 * DAY_SECONDS

_VALUES: Final = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, or L for the last day, on a day that the month has",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT",
}


def check(new: NewSchedule, limits: ScheduleLimits, *, now: float) -> float:
    """When it is first due (epoch seconds). Raises `CallerError` FIELD_REQUIRED, FIELD_INVALID or SCHEDULE_INVALID."""
    _check_request(new.request)
    _check_zone(new.time_zone)
    if new.cron and new.at is not None:
        raise _unreadable("at", "give either cron, to run again and again, or a time, to run once; not both")
    first = _first_of_cron(new, limits, now) if new.at is None else _once(new.at, now)
    if first is None or first > now + limits.years_ahead * YEAR_SECONDS:
        field = "cron" if new.cron else "at"
        raise _invalid(field, f"it does not run within {limits.years_ahead} years; give an earlier time")
    return first


def _check_request(request: str) -> None:
    if not request.strip():
        raise CallerError("FIELD_REQUIRED", "request is empty; say what the person wants", field="request")
    if len(request) > MOST_REQUEST:
        raise _unreadable("request", f"request has {len(request)} characters; give at most {MOST_REQUEST}")


def _check_zone(name: str) -> None:
    if not name:
        raise CallerError("FIELD_REQUIRED", "time_zone is empty; ask the person where they are", field="time_zone")
    if zone_of(name) is None:
        raise _unreadable("time_zone", "no such time zone; give an IANA name, as Europe/Berlin")


def _once(at: float, now: float) -> float:
    if not math.isfinite(at):
        raise _unreadable("at", "it is no time; give a time in the future")
    if at <= now:
        moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M")
        raise _invalid("at", f"the time is past: it is {moment} UTC now; give a time in the future")
    return at


def _first_of_cron(new: NewSchedule, limits: ScheduleLimits, now: float) -> float | None:
    if not new.cron:
        sentence = "give either cron, to run again and again, or a time, to run once"
        raise CallerError("FIELD_REQUIRED", sentence, field="cron")
    try:
        recurrence.check(new.cron)
    except UnreadableCronError as error:
        raise _unreadable("cron", _cron_needed(error.field)) from None
    count, apart = len(recurrence.minutes_of_day(new.cron)), recurrence.shortest_minutes(new.cron)
    if apart < limits.minutes_apart:
        raise _invalid("cron", f"its runs are {apart} min apart; at least {limits.minutes_apart} are needed")
    if count > limits.runs_per_day:
        raise _invalid("cron", f"it runs {count} times a day; at most {limits.runs_per_day} are possible")
    return next(recurrence.runs(new.cron, new.time_zone, after=now), None)


def _cron_needed(field: str) -> str:
    if field:
        return f"cron has a {field} that cannot be read or never comes; give {_VALUES[field]}"
    return "cron is not readable; give five fields: minute hour day-of-month month day-of-week, as 30 8 * * 1-5"


def _unreadable(field: str, sentence: str) -> CallerError:
    return CallerError("FIELD_INVALID", sentence, field=field)


def _invalid(field: str, sentence: str) -> CallerError:
    return CallerError("SCHEDULE_INVALID", sentence, field=field)
