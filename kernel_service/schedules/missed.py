"""Which run of a due schedule is made, and when the next one is due.

A run that is late was missed: this service did not run, or it was busy. A schedule that runs once always makes its run.
A recurring one makes its latest run only, unless that is too late to be useful.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from kernel_service.schedules.recurrence import runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_service.ports.schedules import NewSchedule

MOST_LATE_SECONDS: Final = 6 * 3600.0
"""The most by which a recurring run may be late. It must also be late by less than half its period."""


class Due(NamedTuple):
    """`run_at`: the run to make now, by the time at which it was due; None: it was missed.

    `next_at`: when the next one is due; None: there is none.
    """

    run_at: float | None
    next_at: float | None


def due_run(asked: NewSchedule, due_at: float, now: float) -> Due:
    """For a schedule whose `due_at` has come."""
    if not asked.cron:
        return Due(due_at, None)
    run_at, next_at = None, None
    for at in _since(asked, due_at, now):
        if at > now:
            next_at = at
            break
        run_at = at
    return Due(run_at if run_at is not None and _is_of_use(run_at, next_at, now) else None, next_at)


def _since(asked: NewSchedule, due_at: float, now: float) -> Iterator[float]:
    """The runs from the due one on, without those that are certainly too late."""
    oldest = now - MOST_LATE_SECONDS
    if due_at > oldest:
        yield due_at
    yield from runs(asked.cron, asked.time_zone, after=max(due_at, oldest))


def _is_of_use(run_at: float, next_at: float | None, now: float) -> bool:
    longest = MOST_LATE_SECONDS if next_at is None else min(MOST_LATE_SECONDS, (next_at - run_at) / 2)
    return now - run_at < longest
