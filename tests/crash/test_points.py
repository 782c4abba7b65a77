"""A process dies at each chosen point and restarts. The message is answered once, and its task made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.crash.checker import judge
from tests.crash.points import EXPECTED, GATEWAY, KERNEL, Doom
from tests.crash.system import System
from tests.crash.times import short

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.crash.processes import Process
    from tests.crash.system import Person

pytestmark = pytest.mark.crash

_KILLED: Final = -9
_NOT_SENT: Final = ("turn ended", "reply leased", "part not sent")
"""At these points a lease has to expire before another process takes over."""
_ON_POSTGRESQL: Final = ("message accepted", "tool called", "end not committed", "turn ended")


async def test_the_kernel_service_dies(system: System, subtests: pytest.Subtests) -> None:
    points = [point for point in KERNEL if point not in _NOT_SENT]
    await _dies_at_each(system, system.kernel, points, subtests)


async def test_the_kernel_service_dies_in_a_turn_that_it_expected(system: System, subtests: pytest.Subtests) -> None:
    person = await system.person()
    for point in EXPECTED:
        with subtests.test(point):
            await system.kernel.kill()
            await system.restart(system.kernel, doom=Doom(point, nth=1 if point == "opening not written" else 2))
            await system.answered(await system.writes(person))
            token = await system.writes(person)
            assert await system.kernel.ended() == _KILLED
            await system.restart(system.kernel)
            await system.answered(token)
            await system.settled(person)
            verdict = judge(system.log)
            assert (verdict.faults, verdict.residue.total()) == ([], 0)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_kernel_service_dies_on_postgresql(system: System, subtests: pytest.Subtests) -> None:
    await _dies_at_each(system, system.kernel, _ON_POSTGRESQL, subtests)


async def test_the_gateway_dies(system: System, subtests: pytest.Subtests) -> None:
    await _dies_at_each(system, system.gateway, ["message handed over", "part accepted", "part acknowledged"], subtests)


async def test_either_service_dies_with_an_unsent_reply(
    tmp_path: Path, database_url: str, subtests: pytest.Subtests
) -> None:
    async with System(tmp_path, database_url, short(lease=1.5, grace=0.5), {}).running() as system:
        for process, points in ((system.kernel, KERNEL), (system.gateway, GATEWAY)):
            await _dies_at_each(system, process, [point for point in points if point in _NOT_SENT], subtests)


async def _dies_at_each(system: System, process: Process, points: Iterable[str], subtests: pytest.Subtests) -> None:
    person = await system.person()
    await system.connect([person])
    for point in points:
        with subtests.test(point):
            await _dies_at(system, process, person, point)


async def _dies_at(system: System, process: Process, person: Person, point: str) -> None:
    await process.kill()
    await system.restart(process, doom=Doom(point))
    token = await system.writes(person, "task")
    assert await process.ended() == _KILLED
    await system.restart(process)
    await system.answered(token)
    await system.settled(person)
    verdict = judge(system.log)
    assert (verdict.faults, verdict.residue.total()) == ([], 0)
    assert token in system.evidence.executions
