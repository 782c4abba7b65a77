from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernelctl.checks import rendering
from kernelctl.checks.all_checks import CHECKS
from kernelctl.checks.check import Check, Report, run_all
from kernelctl.checks.results import Result, Skipped, Status, error, ok
from kernelctl.checks.setup import Setup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernelctl.checks.http import Http

SECRET = "EAAGsecretOfTheOperator"
SETUP = Setup({"WHATSAPP_ACCESS_TOKEN": SECRET, "KERNEL_CHANNEL_TOKENS": "telegram=bot-token-1"}, Path())


async def crashes(_: Setup, __: Http) -> Sequence[Result]:
    raise LookupError(f"no {SECRET} at https://x.example/connect/abc?token=t of +1 (555) 123-4567")


async def hangs(_: Setup, __: Http) -> Sequence[Result]:
    await asyncio.Event().wait()
    return []


async def skips(_: Setup, __: Http) -> Sequence[Result]:
    raise Skipped("it is emulated")


async def passes(_: Setup, __: Http) -> Sequence[Result]:
    return [ok("bot-token-1 is fine")]


async def test_a_check_that_crashes_or_hangs_is_one_finding_and_hides_no_other() -> None:
    checks = [Check(each.__name__, "Area", each) for each in (crashes, hangs, skips, passes)]
    reports = await run_all(checks, SETUP, seconds=0.1)
    assert [[result.status for result in report.results] for report in reports] == [
        [Status.ERROR],
        [Status.ERROR],
        [Status.SKIPPED],
        [Status.OK],
    ]
    [crashed] = reports[0].results
    assert (
        crashed.text
        == "the check itself failed: LookupError: no [secret] at https://x.example/connect/abc?[…] of [number]"
    )
    assert reports[3].results[0].text == "[secret] is fine"


def test_names_are_unique_and_areas_stay_together() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    areas = [check.area for check in CHECKS]
    assert [area for place, area in enumerate(areas) if area not in areas[:place]] == sorted(
        set(areas), key=areas.index
    )


def test_no_line_is_wider_than_the_terminal() -> None:
    result = error("a long text about WHATSAPP_ACCESS_TOKEN " * 4, why="because " * 30, fix="do this " * 30)
    report = Report(CHECKS[0], [result], 0.0)
    lines = [click.unstyle(line) for line in rendering.lines([report], 60)]
    assert max(map(len, lines)) <= 60
    assert [line.split()[0] for line in lines if "Why" in line or "Fix" in line] == ["Why", "Fix"]
