"""When a recurring schedule runs: five cron fields, in the local time of a zone.

The rules for a change of the clocks are those of Debian's cron. A local time that does not exist runs at the end of the
gap, and several of them run once. One that exists twice runs the first time. A `*` at the start of the minute or of the
hour follows the elapsed time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cronsim import CronSim, CronSimError

from kernel_service.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELDS: Final = ("minute", "hour", "day-of-month", "month", "day-of-week")
MOST_CHARACTERS: Final = 100
_MINUTES_OF_DAY: Final = 24 * 60
_MONDAY: Final = datetime(2024, 1, 1, tzinfo=UTC)


class UnreadableCronError(ValueError):
    """The text is not a cron schedule, or never runs. `field` is the field at fault; empty: the whole text."""

    def __init__(self, field: str = "") -> None:
        super().__init__("not a cron schedule")
        self.field = field


def check(cron: str) -> None:
    """Raises `UnreadableCronError`."""
    if len(cron) > MOST_CHARACTERS or not cron.isascii() or len(cron.split()) != len(FIELDS):
        raise UnreadableCronError
    _parsed(cron, _MONDAY)


def runs(cron: str, time_zone: str, *, after: float) -> Iterator[float]:
    """The runs after a time (epoch seconds), each once and in order. The iterator ends if none follows in 50 years."""
    last = after
    for moment in _parsed(cron, datetime.fromtimestamp(int(after), zone_of(time_zone) or UTC)):
        at = moment.timestamp()
        if at > last:  # the library repeats an hour that the clocks show twice, and the end of a gap
            yield at
            last = at


def minutes_of_day(cron: str) -> list[int]:
    """The minutes of a day at which it runs, in order, if it runs on that day."""
    fields = _parsed(cron, _MONDAY)
    return sorted(hour * 60 + minute for hour in fields.hours for minute in fields.minutes)


def shortest_minutes(cron: str) -> int:
    """The shortest time between two runs in minutes, on days that follow each other."""
    minutes = minutes_of_day(cron)
    following = [*minutes[1:], minutes[0] + _MINUTES_OF_DAY]
    return min(later - earlier for earlier, later in zip(minutes, following, strict=True))


def moment_of(local: datetime, time_zone: str) -> float:
    """The epoch seconds of a local time: the first of two, and the end of the gap for one that does not exist."""
    there = local.replace(tzinfo=zone_of(time_zone) or UTC, fold=0)
    while there != there.astimezone(UTC).astimezone(there.tzinfo):
        there += timedelta(minutes=1)
    return there.timestamp()


def _parsed(cron: str, start: datetime) -> CronSim:
    try:
        return CronSim(cron, start)
    except CronSimError as error:
        raise UnreadableCronError(next((name for name in FIELDS if name in str(error)), "")) from None
    except (AssertionError, TypeError, ValueError):  # the library fails on some texts
        raise UnreadableCronError from None
