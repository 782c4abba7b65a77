"""The operator's limits on the schedules of a person."""

from __future__ import annotations

from dataclasses import dataclass

from kernel_service.ports.allow_list import EVERYONE, AllowList


@dataclass(frozen=True, slots=True)
class ScheduleLimits:
    """The runs of one schedule are at least `minutes_apart`, and at most `runs_per_day`.

    A person's recurring requests together run at most `runs_per_day`, too: each is a turn.

    Its first run is at most `years_ahead`. A person has `per_person` schedules at most.
    Runs are made only for people who are `allowed` when they are due.
    """

    per_person: int = 50
    minutes_apart: int = 15
    runs_per_day: int = 20
    years_ahead: int = 2
    allowed: AllowList = EVERYONE
