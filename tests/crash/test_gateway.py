"""The cost of a gateway's death, with the product's own times and settings. The long form is `gateway.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.gateway import DEFAULTS, figures, freeze, settle, slow_down, strike
from tests.crash.system import System
from tests.crash.times import OWN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.crash.system import Person

pytestmark = pytest.mark.crash

Scene = tuple[System, list["Person"]]


@pytest.fixture
async def scene(tmp_path: Path, database_url: str) -> AsyncIterator[Scene]:
    async with System(tmp_path, database_url, OWN, DEFAULTS).running() as system:
        await slow_down(system)
        yield system, [await system.person() for _ in range(10)]


async def test_after_a_kill_in_mid_send_all_is_answered_once_in_order_and_in_time(scene: Scene) -> None:
    system, people = scene
    await strike(system, people, 0.02, system.gateway)
    await settle(system, people)
    found = figures(system.log)
    assert found.good, str(found)


async def test_another_gateway_takes_over_from_a_stopped_one_in_time(scene: Scene) -> None:
    system, people = scene
    await system.restart(system.other_gateway)
    await freeze(system, people, 0.02)
    await settle(system, people)
    await system.resume(system.other_gateway)
    await settle(system, people)
    found = figures(system.log)
    assert found.good, str(found)
