"""Missed runs: a single one is always made, a recurring one only while it is of use, and the latest one only."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kernel_service.ports.schedules import NewSchedule, ScheduleKind
from kernel_service.schedules.missed import Due, due_run

ONCE = NewSchedule(ScheduleKind.REMIND, "call Ada", "whatsapp", "n1", "UTC", at=0.0)


def at(local: str) -> float:
    return datetime.fromisoformat(f"2026-11-{local}").replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize("late", [0.0, 60.0, 86_400.0, 400 * 86_400.0])
def test_a_single_run_is_always_made(late: float) -> None:
    assert due_run(ONCE, 1000.0, 1000.0 + late) == Due(1000.0, None)


@pytest.mark.parametrize(
    ("cron", "due", "now", "run", "following"),
    [
        # In time.
        ("0 9 * * *", "26 09:00", "26 09:00", "26 09:00", "27 09:00"),
        # The latest one only.
        ("0 * * * *", "26 09:00", "26 12:10", "26 12:00", "26 13:00"),
        ("*/15 * * * *", "26 09:00", "26 12:07", "26 12:00", "26 12:15"),
        # Late by half its period or more.
        ("*/15 * * * *", "26 09:00", "26 12:08", None, "26 12:15"),
        ("0 * * * *", "26 09:00", "26 12:30", None, "26 13:00"),
        # Late by 6 hours or more.
        ("0 9 * * *", "26 09:00", "26 14:59", "26 09:00", "27 09:00"),
        ("0 9 * * *", "26 09:00", "26 15:00", None, "27 09:00"),
        ("0 9 1 * *", "01 09:00", "26 09:00", None, "31 09:00"),
        # After days, the run of today.
        ("0 9 * * *", "20 09:00", "26 10:00", "26 09:00", "27 09:00"),
        ("0 9 * * *", "20 09:00", "26 08:00", None, "26 09:00"),
    ],
)
def test_a_recurring_run(cron: str, due: str, now: str, run: str | None, following: str) -> None:
    asked = replace(ONCE, at=None, cron=cron)
    next_at = at(following) if not following.startswith("31") else datetime(2026, 12, 1, 9, tzinfo=UTC).timestamp()
    assert due_run(asked, at(due), at(now)) == Due(None if run is None else at(run), next_at)
