from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.composio.conftest import world
from tests.unit.triggers.fakes import Watch

if TYPE_CHECKING:
    from tests.unit.composio.fakes import World

__all__ = ["world"]


@pytest.fixture
async def watch(world: World) -> Watch:
    """Alice has connected Gmail, and wants to be told of the bank's mails."""
    watch = Watch(world)
    await watch.connect("p_alice")
    return watch
