from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.world import World, whole_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with whole_world(tmp_path) as whole:
        yield whole
