"""A process dies at each chosen point, comes back, and the message is answered once, its task made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.checker import Verdict, judge
from tests.crash.points import GATEWAY, KERNEL, Doom

if TYPE_CHECKING:
    from tests.crash.processes import Process
    from tests.crash.system import System

pytestmark = pytest.mark.crash

_KILLED = -9
_ON_POSTGRESQL = ("message accepted", "tool called", "end not committed", "turn ended")
_POINTS = [
    *(("sqlite", point) for point in KERNEL),
    *(("postgresql", point) for point in _ON_POSTGRESQL),
]


@pytest.mark.parametrize(("database_url", "point"), _POINTS, indirect=["database_url"])
async def test_the_kernel_service_dies(system: System, point: str) -> None:
    await _dies(system, system.kernel, point)


@pytest.mark.parametrize("point", [point for point in GATEWAY if point != "reply pulled"])
async def test_the_gateway_dies(system: System, point: str) -> None:
    await _dies(system, system.gateway, point)


async def _dies(system: System, process: Process, point: str) -> None:
    person = await system.person()
    await system.connect([person])
    await process.kill()
    await system.restart(process, doom=Doom(point))
    token = await system.writes(person, "task")
    assert await process.ended() == _KILLED
    await system.restart(process)
    await system.answered(token)
    await system.settled(person)
    verdict = judge(system.log)
    assert verdict == Verdict(messages=2, answers=2, tasks=1, model_calls=verdict.model_calls, silent=verdict.silent)
