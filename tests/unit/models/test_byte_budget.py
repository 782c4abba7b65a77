from __future__ import annotations

import asyncio

import pytest

from kernel_service.models.byte_budget import ByteBudget


class Holder:
    """Takes bytes, and holds them until it is told."""

    def __init__(self, budget: ByteBudget, size: int) -> None:
        self.let_go = asyncio.Event()
        self.has = False
        self.task = asyncio.create_task(self._hold(budget, size))

    async def _hold(self, budget: ByteBudget, size: int) -> None:
        async with budget.taken(size):
            self.has = True
            await self.let_go.wait()

    async def end(self) -> None:
        self.let_go.set()
        await self.task


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_the_budget_and_in_order() -> None:
    budget = ByteBudget(10)
    first, large, small = Holder(budget, 6), Holder(budget, 6), Holder(budget, 1)
    await settled()
    assert (first.has, large.has, small.has) == (True, False, False), "no request overtakes: the large one would starve"
    await first.end()
    await settled()
    assert large.has
    assert small.has


async def test_a_request_larger_than_the_budget_takes_all_of_it() -> None:
    budget = ByteBudget(10)
    huge, small = Holder(budget, 99), Holder(budget, 1)
    await settled()
    assert (huge.has, small.has) == (True, False)
    await huge.end()
    await settled()
    assert small.has


@pytest.mark.parametrize("late", [False, True])
async def test_a_cancelled_request_leaves_nothing_reserved(*, late: bool) -> None:
    budget = ByteBudget(10)
    first, second, third = Holder(budget, 10), Holder(budget, 10), Holder(budget, 10)
    await settled()
    if late:
        first.let_go.set()
        await asyncio.sleep(0)
    second.task.cancel()
    await first.end()
    await settled()
    assert third.has
