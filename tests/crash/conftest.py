"""A running product for each test, on a separate database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.system import System
from tests.crash.times import short

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLite, unless a test is parametrized with `postgresql`."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path}/kernel.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def system(tmp_path: Path, database_url: str) -> AsyncIterator[System]:
    async with System(tmp_path, database_url, short(), {}).running() as running:
        yield running
