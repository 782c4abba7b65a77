"""Reads times as people say them: "in 10 minutes", "tomorrow at 9", "on Friday at noon", "every weekday at 8:30"."""

import re
from dataclasses import dataclass
from datetime import date, timedelta

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MINUTES = {"minute": 1, "hour": 60, "day": 24 * 60, "week": 7 * 24 * 60, "month": 30 * 24 * 60, "year": 365 * 24 * 60}
_COUNTED = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: str(number) for number, word in enumerate(_COUNTED, 1)}
_CRON_DAYS = {"day": "*", "morning": "*", "evening": "*", "weekday": "1-5", "weekend": "6,0"} | {
    day: str((number + 1) % 7) for number, day in enumerate(_DAYS)
}
_OFTEN = {"minute": "*/{} * * * *", "hour": "0 */{} * * *", "day": "0 9 */{} * *", "month": "0 9 1 */{} *"}
_USUAL = {"evening": "18:00", "afternoon": "15:00", "tonight": "20:00", "night": "20:00"}
_NAMED = {"noon": "12:00", "midnight": "00:00"}

_CLOCK = r"(?P<time>noon|midnight|\d{1,2}(?::\d\d)?(?: ?[ap]\.?m\b\.?)?)"
_DAY = rf"(?P<day>today|tonight|tomorrow|(?:on |next |this )?(?:{'|'.join(_DAYS)})|on \d{{4}}-\d\d-\d\d)"
_WHEN = re.compile(
    rf"\bin (?P<count>\d+|an?|half an|{'|'.join(_NUMBERS)}) (?P<unit>{'|'.join(_MINUTES)})s?\b"
    rf"|\bevery (?P<every>{'|'.join(_CRON_DAYS)})(?:s)?(?: at {_CLOCK.replace('<time>', '<every_time>')})?"
    rf"|\bevery (?:(?P<step>\d+|{'|'.join(_NUMBERS)}) )?(?P<often>{'|'.join(_OFTEN)})s?\b"
    rf"|\b{_DAY}\b(?: (?P<part>morning|afternoon|evening|night)\b)?(?: at {_CLOCK.replace('<time>', '<day_time>')})?"
    rf"|\bat {_CLOCK}(?: {_DAY.replace('<day>', '<later>')})?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class When:
    """One of: `minutes` from now, `at` (YYYY-MM-DDTHH:MM in the person's time), `cron` in the person's time."""

    minutes: int = 0
    at: str = ""
    cron: str = ""


def read(text: str, today: date | None) -> tuple[When, str] | None:
    """The time and the text without it; None if it names none. `today`: the person's date; None: unknown."""
    found = _WHEN.search(text)
    if found is None:
        return None
    when = _in_minutes(found) or _again(found) or (_once(found, today) if today else None)
    return (when, f"{text[: found.start()].rstrip()} {text[found.end() :].lstrip()}".strip()) if when else None


def _in_minutes(found: re.Match[str]) -> When | None:
    if found["count"] is None:
        return None
    unit = _MINUTES[found["unit"].lower()]
    count = found["count"].lower()
    count = _NUMBERS.get(count, count)
    return When(minutes=int(count) * unit if count.isdecimal() else unit // 2 if "half" in count else unit)


def _again(found: re.Match[str]) -> When | None:
    if found["often"] is not None:
        step = (found["step"] or "1").lower()
        return When(cron=_OFTEN[found["often"].lower()].format(_NUMBERS.get(step, step)).replace("*/1 ", "* "))
    if found["every"] is None:
        return None
    every = found["every"].lower()
    hour, minute = _time(found["every_time"] or _USUAL.get(every, "9")).split(":")
    return When(cron=f"{int(minute)} {int(hour)} * * {_CRON_DAYS[every]}")


def _once(found: re.Match[str], today: date) -> When:
    usual = _USUAL.get((found["part"] or found["day"] or "").lower(), "9")
    time = _time(found["day_time"] or found["time"] or usual)
    return When(at=f"{_date(found['day'] or found['later'] or 'today', today)}T{time}")


def _date(day: str, today: date) -> str:
    """A weekday is the next one, never today."""
    name = day.lower().split()[-1]
    if name in {"today", "tonight"}:
        return today.isoformat()
    if name == "tomorrow":
        return (today + timedelta(days=1)).isoformat()
    if name in _DAYS:
        ahead = (_DAYS.index(name) - today.weekday() - 1) % 7 + 1
        return (today + timedelta(days=ahead)).isoformat()
    return name


def _time(said: str) -> str:
    """HH:MM of "9", "9:30", "5 pm", "noon". Hours that do not exist are left to the tool to refuse."""
    said = _NAMED.get(said.lower(), said.lower().replace(".", ""))
    digits = said.rstrip("apm ").split(":")
    hour, minute = int(digits[0]), int(digits[1]) if len(digits) > 1 else 0
    if said.endswith("pm") and hour < 12:
        hour += 12
    if said.endswith("am") and hour == 12:
        hour = 0
    return f"{hour:02}:{minute:02}"
