"""Bulk reports of a channel are written to the store slice by slice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_service.api.slices import AT_ONCE, SLICE, Slices

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize("count", [0, 1, SLICE, SLICE + 1, 1000])
async def test_all_slices_are_written_in_order(count: int) -> None:
    async def write(channel: str, some: Sequence[int]) -> list[int]:
        assert channel == "chat"
        assert 0 < len(some) <= SLICE
        return list(some)

    slices = await Slices().each("chat", range(count), write)
    assert [one for each in slices for one in each] == list(range(count))


async def test_each_channel_has_its_own_limit_of_concurrent_slices() -> None:
    at_work: list[str] = []
    proceed = asyncio.Event()

    async def write(channel: str, _: Sequence[int]) -> None:
        at_work.append(channel)
        await proceed.wait()

    slices = Slices()
    calls = [asyncio.ensure_future(slices.each("chat", range(1000), write)) for _ in range(30)]
    calls.append(asyncio.ensure_future(slices.each("mail", range(1), write)))
    while "mail" not in at_work:
        await asyncio.sleep(0)
    assert at_work.count("chat") == AT_ONCE
    proceed.set()
    await asyncio.gather(*calls)


async def test_a_failed_or_cancelled_slice_releases_its_place() -> None:
    async def write(_: str, some: Sequence[int]) -> None:
        if some[0]:
            raise ZeroDivisionError
        await asyncio.sleep(0)

    slices = Slices()
    for _ in range(AT_ONCE + 1):
        with pytest.raises(ZeroDivisionError):
            await slices.each("chat", range(SLICE + 1), write)
        call = asyncio.ensure_future(slices.each("chat", [0], write))
        await asyncio.sleep(0)
        call.cancel()
    await slices.each("chat", [0], write)
