"""The times of a schedule in plain words: `Every weekday at 08:30, Berlin time; next: tomorrow, Thursday`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cronsim import CronSim

from kernel_service.schedules import recurrence
from kernel_service.zones import zone_of

if TYPE_CHECKING:
    from kernel_service.ports.schedules import Schedule

_NEAR: Final = ("today", "tomorrow")
_EXPLAINED: Final = re.compile(r"At (?P<times>[0-9:, and]+?) (?P<days>every day|on .+)")
_EVERY_FEW_HOURS: Final = re.compile(r"\d+ \*/(\d+) \* \* \*")
_WEEKDAYS: Final = "on Monday through Friday"
_DAY_NAMES: Final = re.compile(r"on ((?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|, | and | through )+)")


def described(schedule: Schedule, *, now: float) -> str:
    """In the time zone of the schedule. `now` in epoch seconds."""
    asked = schedule.asked
    zone = _zone(asked.time_zone)
    if not asked.cron:
        return f"Once, {_moment(asked.at or 0.0, asked.time_zone, now)}, {zone}"
    how_often = f"{_how_often(asked.cron)}, {zone}"
    if schedule.next_due_at is None:
        return f"{how_often}; paused"
    has_one_time = len(recurrence.minutes_of_day(asked.cron)) == 1
    shown = _day if has_one_time else _moment
    return f"{how_often}; next: {shown(schedule.next_due_at, asked.time_zone, now)}"


def _how_often(cron: str) -> str:
    if hours := _EVERY_FEW_HOURS.fullmatch(cron):
        return f"Every {hours[1]} hours"
    told = CronSim(cron, datetime.fromtimestamp(0, UTC)).explain()
    match = _EXPLAINED.fullmatch(told)
    if match is None:
        return told
    days = match["days"]
    if days == _WEEKDAYS:
        days = "every weekday"
    elif names := _DAY_NAMES.fullmatch(days):
        days = f"every {names[1]}"
    return f"{days[0].upper()}{days[1:]} at {match['times']}"


def _zone(name: str) -> str:
    """`Berlin time` for Europe/Berlin; zones without a place by their names."""
    area, _, place = name.rpartition("/")
    return f"{place.replace('_', ' ')} time" if area and area != "Etc" else name


def _moment(at: float, zone: str, now: float) -> str:
    return f"{_day(at, zone, now)}, at {_local(at, zone):%H:%M}"


def _day(at: float, zone: str, now: float) -> str:
    there, today = _local(at, zone), _local(now, zone).date()
    ahead = (there.date() - today).days
    if 0 <= ahead < len(_NEAR):
        return f"{_NEAR[ahead]}, {there:%A}"
    year = f" {there.year}" if there.year != today.year else ""
    return f"{there:%A}, {there.day} {there:%B}{year}"


def _local(at: float, zone: str) -> datetime:
    return datetime.fromtimestamp(at, zone_of(zone) or UTC)
