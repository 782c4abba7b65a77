"""When the assistant speaks first."""

from __future__ import annotations

from pydantic import Field

from kernel_service.settings.concern import Concern


class Unprompted(Concern):
    """Schedules and news."""

    kernel_schedules_per_user: int = Field(50, ge=0, le=1000)
    """How many schedules a person may have."""
    kernel_schedule_minutes_apart: int = Field(15, ge=1, le=1440)
    """How many minutes apart the runs of one schedule are at least."""
    kernel_schedule_runs_per_day: int = Field(20, ge=1, le=1440)
    """How many runs one schedule may have on a day. The recurring requests of a person together have as many, since
    each is a turn."""
    kernel_schedule_years_ahead: int = Field(2, ge=1, le=50)
    """How many years ahead the first run of a schedule may be."""
    kernel_triggers_per_user: int = Field(20, ge=0)
    """How many kinds of news ("tell me when a mail from the bank arrives") a person may wait for at a time."""
    kernel_daily_triggered_per_user: int = Field(20, ge=0)
    """How often the assistant looks at such news for a person per UTC day. Later news waits for the next day, and the
    person is told so once."""
    kernel_trigger_gather_seconds: float = Field(300, ge=0)
    """Further news of the same kind within this time becomes one message."""
