from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.world import World, whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with whole_world(tmp_path) as whole:
        yield whole
