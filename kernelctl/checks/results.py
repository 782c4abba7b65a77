"""The result of a check: what was found and, for a finding, why it matters and how to fix it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """An error or a warning is a finding: with an error, something does not work."""

    OK = "ok"
    NOTE = "note"
    SKIPPED = "skipped"
    WARNING = "warning"
    ERROR = "error"

    @property
    def is_finding(self) -> bool:
        return self in {Status.WARNING, Status.ERROR}


@dataclass(frozen=True, slots=True)
class Result:
    """`text` is one line. `why` and `fix` are sentences. None of them contains a secret or a phone number."""

    status: Status
    text: str
    why: str = ""
    fix: str = ""


class Skipped(Exception):
    """A check cannot run, because something that it needs is missing or has a separate finding."""


def ok(text: str) -> Result:
    return Result(Status.OK, text)


def note(text: str, *, why: str = "", fix: str = "") -> Result:
    return Result(Status.NOTE, text, why, fix)


def warning(text: str, *, why: str, fix: str) -> Result:
    return Result(Status.WARNING, text, why, fix)


def error(text: str, *, why: str, fix: str) -> Result:
    return Result(Status.ERROR, text, why, fix)
