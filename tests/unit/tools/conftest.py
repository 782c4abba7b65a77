from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulators.app import Emulators
from tests.unit.tools.fakes import Clock, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = Clock()
    async with Emulators.start(clock=clock) as emulators:
        world = World(emulators, clock)
        yield world
        await world.close()
