"""A kernel that rests answers what comes without its person: an event and a due run, each with the whole history."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from kernel_service.kernels.evictor import REST_SECONDS
from tests.integration.test_schedules import HOUR, create
from tests.integration.test_triggers import arrives, hearing, who_waits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integration.world import World

TOLD = "my dog is called Rex"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with hearing(tmp_path, kernel_sweep_seconds=1) as world:
        yield world


async def rests(world: World) -> None:
    """Let time pass until the person's kernel has left its history to the store."""
    world.pass_time(REST_SECONDS + 1)
    async with asyncio.timeout(20):
        while world.kernel.kernels.awake():
            await asyncio.sleep(0.02)
    assert len(world.kernel.kernels) == 1


def knew(world: World) -> bool:
    """Whether the model's latest request holds what the person told before."""
    return TOLD in json.dumps(world.emulators.openai.requests[-1], default=str)


async def test_an_event_and_a_due_run_are_answered_with_the_history(world: World) -> None:
    alice = await who_waits(world)
    await world.ask(alice, TOLD)
    await rests(world)
    await arrives(world, alice)
    world.pass_time(6)
    assert "has arrived" in (await alice.wait_for_message(timeout=20)).text
    assert knew(world)
    await create(world, alice, "say the magic word", kind="do")
    await rests(world)
    asked = len(world.emulators.openai.requests)
    world.pass_time(HOUR)
    await alice.wait_for_message(timeout=20)
    assert len(world.emulators.openai.requests) > asked
    assert knew(world)
