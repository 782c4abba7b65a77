"""Reports as text for a terminal, and as JSON."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import click

from kernelctl.checks.results import Result, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kernelctl.checks.check import Report

_COLOURS: Final = {Status.OK: "green", Status.WARNING: "yellow", Status.ERROR: "red"}
_WORDS: Final = {Status.ERROR: "ERROR", Status.WARNING: "WARNING"}
_INDENT: Final = 11
"""Of the text, after the status."""
_LABEL: Final = 5
_NARROWEST: Final = 40


def lines(reports: Sequence[Report], width: int, *, shows_all: bool = True) -> Iterator[str]:
    """By area. Without `shows_all`, the findings alone."""
    for area, group in groupby(reports, key=lambda report: report.check.area):
        shown = [result for result in _told(list(group)) if shows_all or result.status.is_finding]
        if shown:
            yield click.style(area, bold=True)
            for result in shown:
                yield from _result(result, max(width, _NARROWEST))
            yield ""


def _told(reports: Sequence[Report]) -> Iterator[Result]:
    """All results, and at the end the skipped checks: those that have one reason in one line."""
    skipped: dict[str, list[str]] = {}
    for report in reports:
        for result in report.results:
            if result.status is Status.SKIPPED:
                skipped.setdefault(result.text, []).append(report.check.name.partition(".")[2].replace("_", " "))
            else:
                yield result
    for reason, names in skipped.items():
        yield Result(Status.SKIPPED, f"{', '.join(names)}: {reason}")


def _result(result: Result, width: int) -> Iterator[str]:
    word = _WORDS.get(result.status, result.status.value)
    first, *rest = _wrapped(result.text, width - _INDENT)
    yield f"  {_styled(word, result.status)}{' ' * (_INDENT - 2 - len(word))}{first}"
    yield from (" " * _INDENT + line for line in rest)
    remedy = "Fix" if result.status.is_finding else "Hint"
    for label, text in (("Why", result.why), (remedy, result.fix)):
        for number, line in enumerate(_wrapped(text, width - _INDENT - _LABEL) if text else []):
            yield f"{' ' * _INDENT}{(label if number == 0 else '').ljust(_LABEL)}{line}"


def _styled(word: str, status: Status) -> str:
    colour = _COLOURS.get(status)
    return click.style(word, fg=colour, bold=status.is_finding) if colour else click.style(word, dim=True)


def _wrapped(text: str, width: int) -> list[str]:
    """URLs and settings stay whole, so that they can be copied."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def summary(reports: Sequence[Report], seconds: float) -> str:
    counts = dict.fromkeys(Status, 0)
    for report in reports:
        for result in report.results:
            counts[result.status] += 1
    findings = [
        _counted(counts[Status.ERROR], "error"),
        _counted(counts[Status.WARNING], "warning"),
    ]
    found = " and ".join(each for each in findings if each) or "No findings"
    rest = ", ".join(
        f"{counts[status]} {word}"
        for status, word in ((Status.OK, "ok"), (Status.NOTE, "to note"), (Status.SKIPPED, "skipped"))
        if counts[status]
    )
    return f"{found}. {rest[:1].upper()}{rest[1:]}, in {seconds:.1f} s."


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}" if number else ""


def as_json(reports: Sequence[Report], source: str) -> dict[str, Any]:
    """`healthy` is false if there is a finding: a result with the status error or warning."""
    return {
        "healthy": not any(report.findings for report in reports),
        "settings": source,
        "checks": [
            {
                "name": report.check.name,
                "area": report.check.area,
                "seconds": round(report.seconds, 3),
                "results": [
                    {"status": each.status.value, "text": each.text, "why": each.why, "fix": each.fix}
                    for each in report.results
                ],
            }
            for report in reports
        ],
    }
