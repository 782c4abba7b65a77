"""A channel that says much at once takes the store a slice at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_service.api.slices import AT_ONCE, SLICE, Slices

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize("count", [0, 1, SLICE, SLICE + 1, 1000])
async def test_all_is_written_in_order(count: int) -> None:
    async def write(channel: str, some: Sequence[int]) -> list[int]:
        assert channel == "chat"
        assert 0 < len(some) <= SLICE
        return list(some)

    slices = await Slices().each("chat", range(count), write)
    assert [one for each in slices for one in each] == list(range(count))


async def test_a_channel_has_so_many_slices_at_work_and_others_have_their_own() -> None:
    at_work: list[str] = []
    go_on = asyncio.Event()

    async def write(channel: str, _: Sequence[int]) -> None:
        at_work.append(channel)
        await go_on.wait()

    slices = Slices()
    calls = [asyncio.ensure_future(slices.each("chat", range(1000), write)) for _ in range(30)]
    calls.append(asyncio.ensure_future(slices.each("mail", range(1), write)))
    while "mail" not in at_work:
        await asyncio.sleep(0)
    assert at_work.count("chat") == AT_ONCE
    go_on.set()
    await asyncio.gather(*calls)


async def test_what_fails_or_is_cancelled_gives_its_place_back() -> None:
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
