"""Cron in local time: changes of the clocks in several zones, once and recurring, and text that is no cron."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from kernel_service.schedules.recurrence import (
    UnreadableCronError,
    check,
    minutes_of_day,
    moment_of,
    runs,
    shortest_minutes,
)

ROME, NEW_YORK, LORD_HOWE, CAIRO = "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"


def at(local: str, zone: str) -> float:
    return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).timestamp()


def told(cron: str, zone: str, after: float, count: int) -> list[str]:
    """The next runs, in local time with its offset."""
    return [
        datetime.fromtimestamp(run, ZoneInfo(zone)).isoformat(" ", "minutes")
        for run in islice(runs(cron, zone, after=after), count)
    ]


DST = [
    # Spring: the time does not exist, and it runs at the end of the gap.
    ("30 2 * * *", ROME, "2027-03-27 12:00", ["2027-03-28 03:00+02:00", "2027-03-29 02:30+02:00"]),
    ("30 2 * * *", NEW_YORK, "2027-03-13 12:00", ["2027-03-14 03:00-04:00", "2027-03-15 02:30-04:00"]),
    ("15 2 * * *", LORD_HOWE, "2027-10-02 12:00", ["2027-10-03 02:30+11:00", "2027-10-04 02:15+11:00"]),
    ("0 0 * * *", CAIRO, "2027-04-29 12:00", ["2027-04-30 01:00+03:00", "2027-05-01 00:00+03:00"]),
    # Several times in one gap run once.
    ("0,30 2,3 * * *", ROME, "2027-03-28 01:00", ["2027-03-28 03:00+02:00", "2027-03-28 03:30+02:00"]),
    # Autumn: the time exists twice, and it runs the first time.
    ("30 2 * * *", ROME, "2027-10-30 12:00", ["2027-10-31 02:30+02:00", "2027-11-01 02:30+01:00"]),
    ("30 1 * * *", NEW_YORK, "2027-11-06 12:00", ["2027-11-07 01:30-04:00", "2027-11-08 01:30-05:00"]),
    ("45 1 * * *", LORD_HOWE, "2027-04-03 12:00", ["2027-04-04 01:45+11:00", "2027-04-05 01:45+10:30"]),
    # A run every hour follows the elapsed time.
    ("0 * * * *", ROME, "2027-10-31 01:30", ["2027-10-31 02:00+02:00", "2027-10-31 02:00+01:00"]),
    ("0 * * * *", ROME, "2027-03-28 00:30", ["2027-03-28 01:00+01:00", "2027-03-28 03:00+02:00"]),
    # Other times of the same days stay what they are.
    ("30 8 * * *", ROME, "2027-03-27 12:00", ["2027-03-28 08:30+02:00", "2027-03-29 08:30+02:00"]),
    ("30 8 * * *", ROME, "2027-10-30 12:00", ["2027-10-31 08:30+01:00", "2027-11-01 08:30+01:00"]),
]


@pytest.mark.parametrize(("cron", "zone", "after", "expected"), DST)
def test_a_change_of_the_clocks(cron: str, zone: str, after: str, expected: list[str]) -> None:
    assert told(cron, zone, at(after, zone), len(expected)) == expected


@pytest.mark.parametrize(("cron", "zone", "after", "expected"), DST)
def test_the_next_run_is_the_same_from_each_run(cron: str, zone: str, after: str, expected: list[str]) -> None:
    """The service continues from the last run that it made, not with one iterator."""
    moment, found = at(after, zone), []
    for _ in expected:
        moment = next(runs(cron, zone, after=moment))
        found.append(datetime.fromtimestamp(moment, ZoneInfo(zone)).isoformat(" ", "minutes"))
    assert found == expected


def test_the_second_of_two_equal_hours_repeats_no_run() -> None:
    second = datetime(2027, 10, 31, 2, 15, tzinfo=ZoneInfo(ROME), fold=1).timestamp()
    assert told("30 2 * * *", ROME, second, 1) == ["2027-11-01 02:30+01:00"]


@pytest.mark.parametrize(
    ("local", "zone", "expected"),
    [
        ("2027-03-28 02:30", ROME, "2027-03-28 03:00+02:00"),
        ("2027-03-14 02:59", NEW_YORK, "2027-03-14 03:00-04:00"),
        ("2027-10-03 02:10", LORD_HOWE, "2027-10-03 02:30+11:00"),
        ("2027-10-31 02:30", ROME, "2027-10-31 02:30+02:00"),
        ("2027-11-07 01:30", NEW_YORK, "2027-11-07 01:30-04:00"),
        ("2027-04-04 01:45", LORD_HOWE, "2027-04-04 01:45+11:00"),
        ("2027-07-01 09:00", ROME, "2027-07-01 09:00+02:00"),
    ],
)
def test_a_single_local_time(local: str, zone: str, expected: str) -> None:
    moment = moment_of(datetime.fromisoformat(local), zone)
    assert datetime.fromtimestamp(moment, ZoneInfo(zone)).isoformat(" ", "minutes") == expected


@pytest.mark.parametrize(
    ("cron", "field"),
    [
        ("0 30 8 * * *", ""),
        ("30 8 * *", ""),
        ("@daily", ""),
        ("", ""),
        ("every day at 8", ""),
        ("0 9 * * ٣", ""),
        ("1" * 101 + " * * * *", ""),
        ("60 8 * * *", "minute"),
        ("*/0 8 * * *", "minute"),
        ("99999999999999999999 8 * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 -1 * * *", "hour"),
        ("0 9 30 2 *", "day-of-month"),
        ("0 9 31 4,6,9,11 *", "day-of-month"),
        ("0 9 ? * *", "day-of-month"),
        ("0 9 0 * *", "day-of-month"),
        ("0 9 * 13 *", "month"),
        ("0 9 * MÄR *", ""),
        ("0 9 * * TUES", "day-of-week"),
        ("0 9 * * MONDAY", "day-of-week"),
        ("0 9 * * 8", "day-of-week"),
        ("0 9 * * MON#6", "day-of-week"),
        ("0 9 * * FRI-MON", "day-of-week"),
    ],
)
def test_it_cannot_be_read(cron: str, field: str) -> None:
    with pytest.raises(UnreadableCronError) as refused:
        check(cron)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("cron", "count", "apart"),
    [
        ("30 8 * * *", 1, 1440),
        ("0 8,20 * * *", 2, 720),
        ("*/15 9-12 * * *", 16, 15),
        ("0 * * * *", 24, 60),
        ("* * * * *", 1440, 1),
        ("55 23,0 * * *", 2, 60),
        ("0,55 0,23 * * *", 4, 5),
        ("1-2 9 * * MON", 2, 1),
    ],
)
def test_how_often_it_runs(cron: str, count: int, apart: int) -> None:
    assert (len(minutes_of_day(cron)), shortest_minutes(cron)) == (count, apart)


def test_an_unknown_zone_counts_as_utc() -> None:
    """A zone that was known when the schedule was made may be missing on another machine."""
    assert next(runs("0 9 * * *", "Mars/Olympus", after=at("2027-01-01 00:00", "UTC"))) == at("2027-01-01 09:00", "UTC")
