"""The check of a new schedule: each refusal names the field, and says how to give it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kernel_service.errors import CallerError
from kernel_service.ports.schedules import NewSchedule, ScheduleKind
from kernel_service.schedules.checking import MOST_REQUEST, check
from kernel_service.schedules.limits import ScheduleLimits

NOW = datetime(2026, 11, 26, 17, 30, tzinfo=UTC).timestamp()
DAILY = NewSchedule(ScheduleKind.REMIND, "call Ada", "whatsapp", "n1", "Europe/Berlin", cron="30 8 * * *")
ONCE = replace(DAILY, cron="", at=NOW + 3600)


def checked(new: NewSchedule, **limits: Any) -> float:
    return check(new, ScheduleLimits(**limits), now=NOW)


def test_when_it_is_first_due() -> None:
    assert checked(DAILY) == datetime(2026, 11, 27, 7, 30, tzinfo=UTC).timestamp()
    assert checked(ONCE) == NOW + 3600


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"request": ""}, "request", "say what"),
        ({"request": " \n\t"}, "request", "say what"),
        ({"request": "x" * (MOST_REQUEST + 1)}, "request", "at most 1000"),
        ({"time_zone": ""}, "time_zone", "ask the person"),
        ({"time_zone": "Berlin"}, "time_zone", "Europe/Berlin"),
        ({"time_zone": "../../etc/passwd"}, "time_zone", "Europe/Berlin"),
        ({"cron": ""}, "cron", "either cron"),
        ({"at": NOW + 60}, "at", "not both"),
        ({"cron": "0 30 8 * * *"}, "cron", "five fields"),
        ({"cron": "@daily"}, "cron", "five fields"),
        ({"cron": "30 8 * * MONDAY"}, "cron", "SUN-SAT"),
        ({"cron": "0 9 30 2 *"}, "cron", "never comes"),
        ({"cron": "0 9 * 2 MON#5"}, "cron", "2 years"),
        ({"cron": "*/5 * * * *"}, "cron", "5 min apart"),
        ({"cron": "0,55 0,23 * * *"}, "cron", "5 min apart"),
        ({"cron": "*/15 * * * *"}, "cron", "96 times a day"),
        ({"cron": "0 * * * *"}, "cron", "24 times a day"),
        ({"cron": "", "at": NOW}, "at", "2026-11-26 17:30 UTC"),
        ({"cron": "", "at": NOW - 1}, "at", "past"),
        ({"cron": "", "at": float("nan")}, "at", "no time"),
        ({"cron": "", "at": float("inf")}, "at", "no time"),
        ({"cron": "", "at": NOW + 3 * 366 * 86_400}, "at", "2 years"),
    ],
)
def test_it_is_refused(changed: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(CallerError) as refused:
        checked(replace(DAILY, **changed))
    assert refused.value.field == field
    assert says in refused.value.sentence


def test_the_limits_are_the_operators() -> None:
    checked(replace(DAILY, cron="*/5 9 * * *"), minutes_apart=5)
    checked(replace(DAILY, cron="0 * * * *"), runs_per_day=24)
    checked(replace(DAILY, cron="", at=NOW + 3 * 366 * 86_400), years_ahead=4)
    with pytest.raises(CallerError):
        checked(DAILY, runs_per_day=0)


@pytest.mark.parametrize("cron", ["0 9 29 2 *", "0 9 L * *", "0 9 * * MON#1", "*/20 9-12 * * 1-5", "0 9 1 JAN *"])
def test_it_is_accepted(cron: str) -> None:
    assert checked(replace(DAILY, cron=cron)) > NOW
