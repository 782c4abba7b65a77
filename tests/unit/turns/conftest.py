from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.migrated_sqlite import open_migrated
from tests.unit.turns.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    store = await open_migrated(tmp_path)
    yield Scene(store)
    await store.close()
