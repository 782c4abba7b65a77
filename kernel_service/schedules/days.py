"""The days of a recurring schedule in plain words: `Every weekday`, `On the 1st and 15th of every month`."""

from __future__ import annotations

from calendar import month_name, monthrange
from itertools import product
from typing import TYPE_CHECKING, Final

from cronsim import CronSim

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_NTH: Final = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", CronSim.LAST: "last"}
_EVERY_DAY: Final = set(range(1, 32))
_EVERY_MONTH: Final = set(range(1, 13))
_EVERY_WEEKDAY: Final = set(range(7))
_WORKING_DAYS: Final = set(range(1, 6))
_FEBRUARY: Final = 28
"""Every month has this number of days."""
_LEAP_YEAR: Final = 2024
_MOST: Final = 6
"""The most dates that are listed."""


def days_in_words(fields: CronSim) -> str:
    """Empty: they are of a form that is better explained otherwise."""
    weekdays = {each % 7 if isinstance(each, int) else each for each in fields.weekdays}
    if not fields.day_and:
        return _of_either(fields, weekdays)
    if fields.days == _EVERY_DAY and fields.months == _EVERY_MONTH:
        return _of_the_week(weekdays)
    if weekdays != _EVERY_WEEKDAY:
        return ""
    days = sorted(fields.days)
    return _of_the_month(days) if fields.months == _EVERY_MONTH else _of_the_year(days, sorted(fields.months))


def _of_either(fields: CronSim, weekdays: set[int | tuple[int, int]]) -> str:
    """Neither of the two fields begins with `*`, so it runs if one of them fits."""
    if fields.months != _EVERY_MONTH:
        return ""
    if fields.days == _EVERY_DAY or weekdays == _EVERY_WEEKDAY:
        return "Every day"
    month, week = _of_the_month(sorted(fields.days)), _of_the_week(weekdays)
    return f"{month}, and {week[0].lower()}{week[1:]}" if month and week else ""


def _of_the_week(weekdays: set[int | tuple[int, int]]) -> str:
    if weekdays == _EVERY_WEEKDAY:
        return "Every day"
    if weekdays == _WORKING_DAYS:
        return "Every weekday"
    plain = [each for each in weekdays if isinstance(each, int)]
    if len(plain) == len(weekdays) == len(_EVERY_WEEKDAY) - 1:
        return f"Every day except {_NAMES[(_EVERY_WEEKDAY - set(plain)).pop()]}"
    if len(plain) == len(weekdays):  # the week begins on Monday
        return f"Every {joined([_NAMES[each] for each in sorted(plain, key=lambda day: (day - 1) % 7)])}"
    if plain:
        return ""
    numbered = sorted((nth % 10, nth, day % 7) for day, nth in (each for each in weekdays if isinstance(each, tuple)))
    names = {_NAMES[day] for _, _, day in numbered}
    each = [_NTH[nth] if len(names) == 1 else f"{_NTH[nth]} {_NAMES[day]}" for _, nth, day in numbered]
    return f"On the {joined(each)}{f' {names.pop()}' if len(names) == 1 else ''} of every month"


def _of_the_month(days: Sequence[int]) -> str:
    if len(days) == 1 and days[0] in (CronSim.LAST, CronSim.LAST_WEEKDAY):
        return f"On the last {'day' if days[0] == CronSim.LAST else 'weekday'} of every month"
    if days[0] < 1:
        return ""
    if len(days) > _MOST:
        is_range = days[-1] - days[0] == len(days) - 1
        return f"From the {_ordinal(days[0])} to the {_ordinal(days[-1])} of every month" if is_range else ""
    some = f" that has {'it' if len(days) == 1 else 'them'}" if days[-1] > _FEBRUARY else ""
    return f"On the {joined([_ordinal(day) for day in days])} of every month{some}"


def _of_the_year(days: Sequence[int], months: Sequence[int]) -> str:
    dates = [(day, month) for month, day in product(months, days) if day <= monthrange(_LEAP_YEAR, month)[1]]
    if len(dates) > _MOST or days[0] < 1:
        return ""
    return f"Every year on {joined([f'{day} {month_name[month]}' for day, month in dates])}"


def _ordinal(day: int) -> str:
    last = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{last}"


def joined(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
