"""A schedule in plain words: `Every weekday at 08:30, Berlin time; next: tomorrow, Thursday`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from cronsim import CronSim

from kernel_service.schedules.days import days_in_words, joined
from kernel_service.schedules.recurrence import minutes_of_day
from kernel_service.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.schedules import NewSchedule

MOST_TIMES: Final = 4
"""The most times of a day that are listed, if they have one distance."""
MOST_ODD_TIMES: Final = 8
"""The most that are listed otherwise."""
_DAY_MINUTES: Final = 24 * 60
_ANY_DAY: Final = datetime(2024, 1, 1, tzinfo=UTC)


def in_words(asked: NewSchedule, next_due_at: float | None, *, now: float, here: str = "") -> str:
    """`here`: the person's time zone, in which the next run is given too, if that is another time; empty: unknown."""
    if asked.cron:
        told = f"{recurrence_in_words(asked.cron)}, {zone_in_words(asked.time_zone)}"
        return f"{told}; {_next_run(asked, next_due_at, now, here)}"
    at = asked.at if next_due_at is None else next_due_at
    if at is None:
        return "Never"
    moment = _local(at, asked.time_zone)
    told = f"{_day(moment, now, here)}, at {_time(moment)}, {zone_in_words(asked.time_zone)}"
    return f"{told[0].upper()}{told[1:]}{_elsewhere(moment, now, here)}"


def moment_in_words(at: float, time_zone: str, *, now: float | None) -> str:
    """`Thursday, 26 November, at 09:00`. Without `now` it has no "today", since it may be read at any time."""
    moment = _local(at, time_zone)
    day = f"{moment:%A}, {moment.day} {moment:%B}" if now is None else _day(moment, now)
    return f"{day}, at {_time(moment)}"


def _next_run(asked: NewSchedule, at: float | None, now: float, here: str) -> str:
    if at is None:
        return "paused"
    moment = _local(at, asked.time_zone)
    usual, minute = minutes_of_day(asked.cron), moment.hour * 60 + moment.minute
    time = "" if usual == [minute] and not _doubled(moment) else f", at {_time(moment)}"
    moved = "" if minute in usual else ", because the clocks change"
    return f"next: {_day(moment, now, here)}{time}{moved}{_elsewhere(moment, now, here)}"


# --- moments ----------------------------------------------------------------------------------------------------------


def _local(at: float, zone: str) -> datetime:
    return datetime.fromtimestamp(at, zone_of(zone) or UTC)


def _day(moment: datetime, now: float, here: str = "") -> str:
    """`today, Wednesday`, `Monday, 30 November`, and the year if it is not this one.

    Where the person has another date, "today" would be ambiguous.
    """
    today, weekday = datetime.fromtimestamp(now, moment.tzinfo).date(), f"{moment:%A}"
    there = zone_of(here) or moment.tzinfo
    if moment.astimezone(there).date() == moment.date() and datetime.fromtimestamp(now, there).date() == today:
        for date, name in ((today, "today"), (today + timedelta(days=1), "tomorrow")):
            if moment.date() == date:
                return f"{name}, {weekday}"
    year = "" if moment.year == today.year else f" {moment.year}"
    return f"{weekday}, {moment.day} {moment:%B}{year}"


def _time(moment: datetime) -> str:
    """`02:30`, and which one if that time comes twice on this day."""
    which = f" ({'second' if moment.fold else 'first'} of two)" if _doubled(moment) else ""
    return f"{moment:%H:%M}{which}"


def _doubled(moment: datetime) -> bool:
    """Whether the clocks show this time twice. A moment is never in a gap."""
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset()


def _elsewhere(moment: datetime, now: float, here: str) -> str:
    """` (16:30 Tokyo time)`, with the day if it may be another one; empty: the person's clocks show the same."""
    zone = zone_of(here)
    if zone is None or moment.utcoffset() == (there := moment.astimezone(zone)).utcoffset():
        return ""
    day = _day(there, now)
    return f" ({'' if day == _day(moment, now, here) else f'{day}, '}{there:%H:%M} {zone_in_words(here)})"


def zone_in_words(name: str) -> str:
    """`Berlin time`, `UTC`, `UTC-05:00`."""
    zone = zone_of(name)
    if zone is None or name.rpartition("/")[2].upper() in ("UTC", "UCT", "GMT", "ZULU", "UNIVERSAL", "GREENWICH"):
        return "UTC"
    if name.startswith("Etc/"):
        return f"UTC{datetime.now(zone).isoformat()[-6:]}"
    return f"{name.rpartition('/')[2].replace('_', ' ')} time"


# --- recurrence -------------------------------------------------------------------------------------------------------


def recurrence_in_words(cron: str) -> str:
    """`Every weekday at 08:30`. A pattern of another form is explained less briefly."""
    fields = CronSim(cron, _ANY_DAY)
    days, times = days_in_words(fields), _times_in_words(minutes_of_day(cron))
    if not days or not times:
        return str(fields.explain())
    if times.startswith("at "):
        return f"{days} {times}"
    return f"{times[0].upper()}{times[1:]}" if days == "Every day" else f"{days}, {times}"


def _times_in_words(minutes: Sequence[int]) -> str:
    """`at 08:00 and 20:00`, `every 15 minutes`, `every hour from 09:00 to 17:00`; empty: of another form."""
    steps = {later - earlier for earlier, later in pairwise(minutes)}
    if len(minutes) <= MOST_TIMES or (len(steps) > 1 and len(minutes) <= MOST_ODD_TIMES):
        return f"at {joined([_clock(each) for each in minutes])}"
    if len(steps) > 1:
        return ""
    [step] = steps
    every = f"every {_span(step)}"
    if minutes[-1] + step != minutes[0] + _DAY_MINUTES:
        return f"{every} from {_clock(minutes[0])} to {_clock(minutes[-1])}"
    return every if minutes[0] == 0 else f"{every} from {_clock(minutes[0])} on"


def _span(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    if rest:
        return f"{minutes} minutes"
    return "hour" if hours == 1 else f"{hours} hours"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
