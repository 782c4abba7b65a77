"""Budgets hold over the wire: for stopped requests, concurrent people and voice messages."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.test_order import database
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.world import World

__all__ = ["database"]

LONG = "word " * 12_000
"""20,000 tokens."""
SPENT = "Today's limit is reached"


async def spent_by_all(world: World) -> int:
    store = world.kernel.store
    return await store.spending.spent_today(None, now=time.time())


async def test_a_crowd_at_once_passes_a_common_budget_by_one_request_at_most(
    tmp_path: Path, database: dict[str, object]
) -> None:
    """Each request costs about 1,000 tokens. All of the crowd together cost twenty times the budget."""
    async with whole_world(tmp_path, kernel_daily_tokens=5_000, kernel_debounce_seconds=0, **database) as world:
        answers = await asyncio.gather(*(world.tell(f"telegram:{number}", "hello", "m") for number in range(100)))
        told = [answer.replies[0].text for answer in answers]
        costs = [call.body for call in world.emulators.openai.requests]
        dearest = 2 * await spent_by_all(world) // len(costs)
        assert 5_000 <= await spent_by_all(world) <= 5_000 + dearest
        assert sum(SPENT not in text for text in told) == len(costs)


@pytest.mark.parametrize("budget", [0, 10**9])
async def test_requests_that_people_stop_are_counted(tmp_path: Path, budget: int) -> None:
    async with whole_world(tmp_path, kernel_daily_tokens_per_user=budget, kernel_debounce_seconds=0) as world:
        asked = asyncio.Event()

        def held(_: object) -> bool:
            asked.set()
            return True

        world.emulators.openai.hold(held)
        for number in range(3):
            asked.clear()
            turn = asyncio.create_task(world.tell("telegram:1", LONG, f"ask{number}"))
            await asked.wait()
            await world.tell("telegram:1", "stop", f"stop{number}")
            await turn
        assert await spent_by_all(world) >= 3 * 20_000


@pytest.mark.parametrize(
    ("status", "counted"), [(400, False), (429, False), (401, False), (503, False), (504, True), (408, True)]
)
async def test_refused_requests_are_free_and_abandoned_ones_are_not(
    tmp_path: Path, status: int, *, counted: bool
) -> None:
    async with whole_world(tmp_path, kernel_daily_tokens_per_user=10**9, kernel_debounce_seconds=0) as world:
        world.emulators.openai.fail(status, times=1000)
        ask = asyncio.create_task(world.tell("telegram:1", LONG, "ask"))
        while not world.emulators.openai.requests:
            await asyncio.sleep(0.05)
        world.emulators.openai.clear()
        await ask
        assert (await spent_by_all(world) > 40_000) is counted


async def test_a_flood_of_wrong_codes_is_not_a_flood_of_replies(tmp_path: Path) -> None:
    """With the default settings. Questions are still answered."""
    async with whole_world(tmp_path) as world:
        told = [len((await world.tell("telegram:1", "BCDF-GHJK", f"m{number}")).replies) for number in range(120)]
        assert told == [1] * 100 + [0] * 20
        assert "hello" in (await world.tell("telegram:1", "hello", "last")).replies[0].text
