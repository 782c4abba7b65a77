from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulators.app import Emulators
from tests.clock import Clock
from tests.migrated_sqlite import open_migrated
from tests.unit.composio.fakes import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    store = await open_migrated(tmp_path)
    async with Emulators.start(clock=clock) as emulators:
        world = World(emulators, clock, store)
        for person_id in ("p_alice", "p_bob"):
            await world.person(person_id)
        yield world
        await world.close()
    await store.close()
