from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import pytest

from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.sealing.ciphers import MasterKeys
from tests.unit.turns.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    keys = MasterKeys.parse(f"k1:{base64.b64encode(os.urandom(32)).decode()}")
    store = await open_store(f"sqlite:///{tmp_path}/kernel.db", keys)
    yield Scene(store)
    await store.close()
