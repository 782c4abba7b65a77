"""A check has a name and an area, and reads a set-up. All run at once, each with a time limit."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kernelctl.checks.http import Http
from kernelctl.checks.results import Result, Skipped, Status, error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from kernelctl.checks.setup import Setup

SECONDS: Final = 30.0
"""The time limit of a check: a few requests, one after another."""


@dataclass(frozen=True, slots=True)
class Check:
    """`run` returns at least one result, or raises Skipped. `name` is unique and does not change."""

    name: str
    area: str
    run: Callable[[Setup, Http], Awaitable[Sequence[Result]]]


@dataclass(frozen=True, slots=True)
class Report:
    check: Check
    results: Sequence[Result]
    seconds: float

    @property
    def findings(self) -> list[Result]:
        return [result for result in self.results if result.status.is_finding]


async def run_all(checks: Sequence[Check], setup: Setup, *, seconds: float = SECONDS) -> list[Report]:
    """The reports in the order of the checks. A check that fails or takes too long is one finding."""
    async with Http.opened() as http:
        return list(await asyncio.gather(*(_run(check, setup, http, seconds) for check in checks)))


async def _run(check: Check, setup: Setup, http: Http, seconds: float) -> Report:
    began = time.monotonic()
    results: Sequence[Result]
    try:
        async with asyncio.timeout(seconds):
            results = await check.run(setup, http)
    except Skipped as reason:
        results = [Result(Status.SKIPPED, str(reason))]
    except TimeoutError:
        results = [_unfinished(check, f"took longer than {seconds:g} s")]
    except Exception as problem:  # noqa: BLE001 - one broken check must not hide the others
        results = [_unfinished(check, f"failed: {type(problem).__name__}: {problem}")]
    redacted = [_redacted(result, setup) for result in results]
    return Report(check, redacted, time.monotonic() - began)


def _unfinished(check: Check, how: str) -> Result:
    return error(
        f"the check itself {how}",
        why=f"It is unknown whether {check.name} has a finding.",
        fix="Run it again. If it fails again, please report it with this line.",
    )


def _redacted(result: Result, setup: Setup) -> Result:
    return Result(result.status, setup.redact(result.text), setup.redact(result.why), setup.redact(result.fix))
