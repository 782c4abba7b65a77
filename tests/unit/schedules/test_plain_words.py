"""A person reads when their schedule runs, in their own time zone."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from kernel_service.ports.schedules import NewSchedule, Schedule, ScheduleKind
from kernel_service.schedules.plain_words import described

BERLIN = "Europe/Berlin"


def at(local: str, zone: str = BERLIN) -> float:
    return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).timestamp()


NOW = at("2026-11-25 12:00")


def schedule(cron: str, due: str | None, zone: str = BERLIN, once: str = "") -> Schedule:
    moment = at(once, zone) if once else None
    asked = NewSchedule(ScheduleKind.REMIND, "call Ada", "whatsapp", "1", zone, cron, moment)
    return Schedule("s_1", asked, NOW, at(due, zone) if due else None)


@pytest.mark.parametrize(
    ("cron", "due", "how_often", "next_run"),
    [
        ("30 8 * * 1-5", "2026-11-26 08:30", "Every weekday at 08:30", "tomorrow, Thursday"),
        ("0 18 * * *", "2026-11-25 18:00", "Every day at 18:00", "today, Wednesday"),
        (
            "15 7 * * MON,THU",
            "2026-11-26 07:15",
            "Every Monday and Thursday at 07:15",
            "tomorrow, Thursday",
        ),
        (
            "0 9 1 * *",
            "2026-12-01 09:00",
            "On the first day of every month at 09:00",
            "Tuesday, 1 December",
        ),
        (
            "0 9 L * *",
            "2026-11-30 09:00",
            "On the last day of every month at 09:00",
            "Monday, 30 November",
        ),
        ("0 9 24 2 *", "2027-02-24 09:00", "On February 24 at 09:00", "Wednesday, 24 February 2027"),
        (
            "0 9,18 * * *",
            "2026-11-25 18:00",
            "Every day at 09:00 and 18:00",
            "today, Wednesday, at 18:00",
        ),
        (
            "0 */4 * * *",
            "2026-11-25 16:00",
            "Every 4 hours",
            "today, Wednesday, at 16:00",
        ),
        (
            "0 9 * * 1#2",
            "2026-12-14 09:00",
            "On the second Monday of the month at 09:00",
            "Monday, 14 December",
        ),
    ],
)
def test_again_and_again(cron: str, due: str, how_often: str, next_run: str) -> None:
    assert described(schedule(cron, due), now=NOW) == f"{how_often}, Berlin time; next: {next_run}"


def test_paused() -> None:
    assert described(schedule("30 8 * * 1-5", None), now=NOW) == "Every weekday at 08:30, Berlin time; paused"


@pytest.mark.parametrize(
    ("once", "zone", "words"),
    [
        ("2026-11-26 09:00", BERLIN, "Once, tomorrow, Thursday, at 09:00, Berlin time"),
        ("2026-11-26 00:30", "Asia/Tokyo", "Once, tomorrow, Thursday, at 00:30, Tokyo time"),
        ("2026-11-25 08:00", "America/New_York", "Once, today, Wednesday, at 08:00, New York time"),
        ("2028-02-29 23:59", "UTC", "Once, Tuesday, 29 February 2028, at 23:59, UTC"),
        ("2026-12-01 09:00", "Etc/GMT+3", "Once, Tuesday, 1 December, at 09:00, Etc/GMT+3"),
        (
            "2026-12-01 09:00",
            "America/Argentina/Buenos_Aires",
            "Once, Tuesday, 1 December, at 09:00, Buenos Aires time",
        ),
    ],
)
def test_once(once: str, zone: str, words: str) -> None:
    assert described(schedule("", once, zone, once), now=NOW) == words
