"""A schedule in plain words: what a person is told when it is set, listed and deleted."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_service.ports.schedules import NewSchedule, ScheduleKind
from kernel_service.schedules.recurrence import moment_of, runs
from kernel_service.schedules.words import in_words, recurrence_in_words, zone_in_words

BERLIN, TOKYO = "Europe/Berlin", "Asia/Tokyo"


def at(text: str, zone: str = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


NOW = at("2026-11-25T10:00")
"""A Wednesday."""


def recurring(cron: str, zone: str = BERLIN, here: str = BERLIN, now: float = NOW) -> str:
    new = NewSchedule(ScheduleKind.REMIND, "x", "test", "desk", zone, cron=cron)
    return in_words(new, next(runs(cron, zone, after=now), None), now=now, here=here)


def once(moment: float, zone: str = BERLIN, here: str = "", now: float = NOW) -> str:
    return in_words(NewSchedule(ScheduleKind.DO, "x", "test", "desk", zone, at=moment), moment, now=now, here=here)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("30 8 * * 1-5", "Every weekday at 08:30"),
        ("30 8 * * mon-fri", "Every weekday at 08:30"),
        ("0 9 * * *", "Every day at 09:00"),
        ("0 9 * * 0", "Every Sunday at 09:00"),
        ("0 9 * * 7", "Every Sunday at 09:00"),
        ("0 9 * * 0-7", "Every day at 09:00"),
        ("0 9 * * 1,3,5", "Every Monday, Wednesday and Friday at 09:00"),
        ("0 9 * * 6,0", "Every Saturday and Sunday at 09:00"),
        ("0 9 * * 1-6", "Every day except Sunday at 09:00"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("0 * * * *", "Every hour"),
        ("30 * * * *", "Every hour from 00:30 on"),
        ("0 */2 * * *", "Every 2 hours"),
        ("0 */6 * * *", "Every day at 00:00, 06:00, 12:00 and 18:00"),
        ("*/30 9-17 * * 1-5", "Every weekday, every 30 minutes from 09:00 to 17:30"),
        ("0 9-17 * * *", "Every hour from 09:00 to 17:00"),
        ("0 8,12,18 * * *", "Every day at 08:00, 12:00 and 18:00"),
        ("17,43 9,20 * * *", "Every day at 09:17, 09:43, 20:17 and 20:43"),
        ("0 9 1 * *", "On the 1st of every month at 09:00"),
        ("0 9 2,3,11,22 * *", "On the 2nd, 3rd, 11th and 22nd of every month at 09:00"),
        ("0 9 31 * *", "On the 31st of every month that has it at 09:00"),
        ("0 9 L * *", "On the last day of every month at 09:00"),
        ("0 9 LW * *", "On the last weekday of every month at 09:00"),
        ("0 9 * * 1#2", "On the second Monday of every month at 09:00"),
        ("0 9 * * 1#1,1#3", "On the first and third Monday of every month at 09:00"),
        ("0 9 * * 5L", "On the last Friday of every month at 09:00"),
        ("0 9 24 12 *", "Every year on 24 December at 09:00"),
        ("0 9 29 2 *", "Every year on 29 February at 09:00"),
        ("0 9 13 * 5", "On the 13th of every month, and every Friday at 09:00"),
        ("0 9 1-7 * 1", "From the 1st to the 7th of every month, and every Monday at 09:00"),
        ("0 9 L * 1-5", "On the last day of every month, and every weekday at 09:00"),
        ("0 9 1-31 * 1", "Every day at 09:00"),
        ("0 9 13 * 0-6", "Every day at 09:00"),
        ("0 9 13 * */5", "At 09:00 on the 13th day of month if it's on every fifth day of week"),
        ("0 9 31 */2 *", "Every year on 31 January, 31 March, 31 May and 31 July at 09:00"),
        ("0 9 * 6-8 *", "At 09:00 in every month from June through August"),
    ],
)
def test_a_recurrence(cron: str, words: str) -> None:
    assert recurrence_in_words(cron) == words


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (recurring("30 8 * * 1-5"), "Every weekday at 08:30, Berlin time; next: tomorrow, Thursday"),
        (recurring("0 22 * * *"), "Every day at 22:00, Berlin time; next: today, Wednesday"),
        (recurring("0 9 * * 1"), "Every Monday at 09:00, Berlin time; next: Monday, 30 November"),
        (recurring("0 9 1 1 *"), "Every year on 1 January at 09:00, Berlin time; next: Friday, 1 January 2027"),
        (recurring("0 9,15 * * *"), "Every day at 09:00 and 15:00, Berlin time; next: today, Wednesday, at 15:00"),
        (recurring("0 9 * * *", "America/New_York", ""), "Every day at 09:00, New York time; next: today, Wednesday"),
        (recurring("0 9 * * *", "UTC", ""), "Every day at 09:00, UTC; next: tomorrow, Thursday"),
        (
            recurring("30 8 * * 1-5", here=TOKYO),
            "Every weekday at 08:30, Berlin time; next: tomorrow, Thursday (16:30 Tokyo time)",
        ),
        (
            recurring("0 22 * * *", here=TOKYO),
            "Every day at 22:00, Berlin time; next: Wednesday, 25 November (tomorrow, Thursday, 06:00 Tokyo time)",
        ),
        (
            recurring("30 8 * * *", TOKYO, BERLIN, at("2026-11-25T19:00")),
            "Every day at 08:30, Tokyo time; next: Thursday, 26 November (tomorrow, Thursday, 00:30 Berlin time)",
        ),
        (
            recurring("30 4 * * *", TOKYO, BERLIN, at("2026-11-25T19:00")),
            "Every day at 04:30, Tokyo time; next: Thursday, 26 November (today, Wednesday, 20:30 Berlin time)",
        ),
        (
            recurring("0 9 1 1 *", TOKYO, BERLIN),
            "Every year on 1 January at 09:00, Tokyo time; next: Friday, 1 January 2027 (01:00 Berlin time)",
        ),
        (recurring("0 22 * * *", here="Europe/Rome"), "Every day at 22:00, Berlin time; next: today, Wednesday"),
    ],
)
def test_the_next_run(told: str, words: str) -> None:
    assert told == words


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2026-11-25T14:05", "Today, Wednesday, at 14:05, Berlin time"),
        ("2026-11-26T09:00", "Tomorrow, Thursday, at 09:00, Berlin time"),
        ("2026-11-30T09:00", "Monday, 30 November, at 09:00, Berlin time"),
        ("2027-01-04T09:00", "Monday, 4 January 2027, at 09:00, Berlin time"),
    ],
)
def test_once(moment: str, words: str) -> None:
    assert once(at(moment)) == words


def test_a_paused_one() -> None:
    new = NewSchedule(ScheduleKind.REMIND, "x", "test", "desk", BERLIN, cron="0 9 * * *")
    assert in_words(new, None, now=NOW) == "Every day at 09:00, Berlin time; paused"


@pytest.mark.parametrize(
    ("zone", "eve", "cron", "next_run"),
    [
        (BERLIN, "2026-03-28T12:00", "30 2 * * *", "tomorrow, Sunday, at 03:00, because the clocks change"),
        (BERLIN, "2026-10-24T12:00", "30 2 * * *", "tomorrow, Sunday, at 02:30 (first of two)"),
        (BERLIN, "2026-03-28T12:00", "30 8 * * *", "tomorrow, Sunday"),
        ("America/New_York", "2026-03-07T12:00", "15 2 * * *", "tomorrow, Sunday, at 03:00, because the clocks change"),
        ("America/New_York", "2026-10-31T12:00", "15 1 * * *", "tomorrow, Sunday, at 01:15 (first of two)"),
        ("Australia/Lord_Howe", "2026-10-03T12:00", "15 2 * * *",
         "tomorrow, Sunday, at 02:30, because the clocks change"),
        (TOKYO, "2026-03-28T12:00", "30 2 * * *", "tomorrow, Sunday"),
    ],
)  # fmt: skip
def test_a_night_on_which_the_clocks_change(zone: str, eve: str, cron: str, next_run: str) -> None:
    assert recurring(cron, zone, zone, at(eve, zone)).partition("next: ")[2] == next_run


def test_the_end_of_a_gap_and_the_first_of_two() -> None:
    gap, doubled = (moment_of(datetime.fromisoformat(f"2026-{day}T02:30"), BERLIN) for day in ("03-29", "10-25"))
    assert once(gap, now=at("2026-03-28T12:00")) == "Tomorrow, Sunday, at 03:00, Berlin time"
    assert once(doubled, now=at("2026-10-24T12:00")) == "Tomorrow, Sunday, at 02:30 (first of two), Berlin time"


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        (BERLIN, "Berlin time"), ("America/Argentina/Buenos_Aires", "Buenos Aires time"), ("UTC", "UTC"),
        ("Etc/UTC", "UTC"), ("Etc/GMT+5", "UTC-05:00"), ("", "UTC"), ("Nowhere/Land", "UTC"),
    ],
)  # fmt: skip
def test_a_zone(zone: str, words: str) -> None:
    assert zone_in_words(zone) == words


def _field(least: int, most: int) -> st.SearchStrategy[str]:
    one = st.integers(least, most)
    return st.one_of(
        st.just("*"),
        one.map(str),
        st.lists(one, min_size=2, max_size=4).map(lambda each: ",".join(map(str, each))),
        st.integers(1, most).map(lambda step: f"*/{step}"),
        st.tuples(one, one).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    )


@given(st.tuples(_field(0, 59), _field(0, 23), _field(1, 28), _field(1, 12), _field(0, 7)))
def test_every_pattern_has_words(fields: tuple[str, ...]) -> None:
    told = recurring(" ".join(fields))
    assert told[0] in "AEFO"
    assert "; next: " in told
    assert "{" not in told
    assert "  " not in told
