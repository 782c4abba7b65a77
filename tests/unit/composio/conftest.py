from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import pytest

from emulators.app import Emulators
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.sealing.ciphers import MasterKeys
from tests.unit.composio.fakes import Clock, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    keys = MasterKeys.parse(f"k1:{base64.b64encode(os.urandom(32)).decode()}")
    store = await open_store(f"sqlite:///{tmp_path}/kernel.db", keys)
    async with Emulators.start(clock=clock) as emulators:
        world = World(emulators, clock, store)
        for person_id in ("p_alice", "p_bob"):
            await world.person(person_id)
        yield world
        await world.close()
    await store.close()
