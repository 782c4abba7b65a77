"""At both ends of the range of every number a message is answered, and the service ends in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.config import Settings
from serving.ranges import Range
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

RANGES = {
    name: limit
    for name, field in Settings.model_fields.items()
    for limit in field.metadata
    if isinstance(limit, Range) and name != "kernel_debounce_seconds"  # the time of the test itself
}


@pytest.mark.slow
@pytest.mark.parametrize("end", ["least", "most"])
async def test_a_message_is_answered(tmp_path: Path, end: str) -> None:
    async with whole_world(tmp_path, **{name: getattr(limit, end) for name, limit in RANGES.items()}) as world:
        alice = world.emulators.whatsapp.add_phone("Alice")
        for words in ("hello", "hello again"):
            await alice.send(words)
            assert (await alice.wait_for_message()).text
