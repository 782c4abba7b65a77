"""When the assistant speaks first."""

from __future__ import annotations

from typing import Annotated

from kernel_service.settings.concern import Concern
from serving.ranges import Range


class Unprompted(Concern):
    """Schedules and news."""

    kernel_schedules_per_user: Annotated[int, Range(0, 1000)] = 50
    """How many schedules a person may have."""
    kernel_schedule_minutes_apart: Annotated[int, Range(1, 1440)] = 15
    """How many minutes apart the runs of one schedule are at least."""
    kernel_schedule_runs_per_day: Annotated[int, Range(1, 1440)] = 20
    """How many runs one schedule may have on a day. The recurring requests of a person together have as many, since
    each is a turn."""
    kernel_schedule_years_ahead: Annotated[int, Range(1, 50)] = 2
    """How many years ahead the first run of a schedule may be."""
    kernel_triggers_per_user: Annotated[int, Range(0, 1000)] = 20
    """How many kinds of news ("tell me when a mail from the bank arrives") a person may wait for at a time."""
    kernel_daily_triggered_per_user: Annotated[int, Range(0, 10_000)] = 20
    """How often the assistant looks at such news for a person per UTC day. Later news waits for the next day, and the
    person is told so once."""
    kernel_trigger_gather_seconds: Annotated[float, Range(0, 86_400)] = 300
    """Further news of the same kind within this time becomes one message."""
