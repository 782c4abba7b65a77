"""Times as people say them, in the rule-based model."""

from datetime import date

import pytest

from emulators.openai.requested_times import When, read

THURSDAY = date(2026, 11, 26)


@pytest.mark.parametrize(
    ("said", "when", "rest"),
    [
        ("call Ada tomorrow at 9", When(at="2026-11-27T09:00"), "call Ada"),
        ("at 9:30 tomorrow to call Ada", When(at="2026-11-27T09:30"), "to call Ada"),
        ("tomorrow to call Ada", When(at="2026-11-27T09:00"), "to call Ada"),
        ("today at 5 pm to leave", When(at="2026-11-26T17:00"), "to leave"),
        ("at 12am to sleep", When(at="2026-11-26T00:00"), "to sleep"),
        ("at 12 p.m. to eat", When(at="2026-11-26T12:00"), "to eat"),
        ("on Thursday at noon to eat", When(at="2026-12-03T12:00"), "to eat"),
        ("on 2026-12-24 at 18:00 to wrap", When(at="2026-12-24T18:00"), "to wrap"),
        ("in 10 minutes to stretch", When(minutes=10), "to stretch"),
        ("in half an hour to eat", When(minutes=30), "to eat"),
        ("in 2 weeks to pay", When(minutes=20160), "to pay"),
        ("in two hours to take the cake out", When(minutes=120), "to take the cake out"),
        ("in 3 years to renew", When(minutes=3 * 365 * 1440), "to renew"),
        ("tonight to call home", When(at="2026-11-26T20:00"), "to call home"),
        ("tomorrow morning to run", When(at="2026-11-27T09:00"), "to run"),
        ("tomorrow evening at 7 pm to eat", When(at="2026-11-27T19:00"), "to eat"),
        ("every 5 minutes to breathe", When(cron="*/5 * * * *"), "to breathe"),
        ("every hour to drink", When(cron="0 * * * *"), "to drink"),
        ("every two hours to drink", When(cron="0 */2 * * *"), "to drink"),
        ("every month to pay the rent", When(cron="0 9 1 * *"), "to pay the rent"),
        ("every weekday at 8:30 list my tasks", When(cron="30 8 * * 1-5"), "list my tasks"),
        ("every Sunday at 7pm to call home", When(cron="0 19 * * 0"), "to call home"),
        ("to read every evening", When(cron="0 18 * * *"), "to read"),
        ("every weekend to rest", When(cron="0 9 * * 6,0"), "to rest"),
    ],
)
def test_a_time_is_read_and_taken_out_of_the_text(said: str, when: When, rest: str) -> None:
    assert read(said, THURSDAY) == (when, rest)


@pytest.mark.parametrize("said", ["to buy milk", "when a mail arrives", "in the kitchen", "everything at home", ""])
def test_other_texts_name_no_time(said: str) -> None:
    assert read(said, THURSDAY) is None


def test_without_a_date_only_distances_and_repetitions_are_read() -> None:
    assert read("tomorrow at 9 to call Ada", None) is None
    assert read("in 5 minutes to go", None) == (When(minutes=5), "to go")
