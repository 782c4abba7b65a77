"""Gathered items are passed on at once after a quiet period, and in few calls under load."""

import asyncio

import pytest

from kernel_client import gathering
from kernel_client.gathering import Gathering

LONG = 3600.0
"""Nothing is passed on by this timer in a test."""


class Calls:
    """`calls` lists what was passed on; `some` is set with each call."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.some = asyncio.Event()

    def __call__(self, items: list[str]) -> None:
        self.calls.append(items)
        self.some.set()


@pytest.fixture
async def calls() -> Calls:
    return Calls()


@pytest.fixture
async def busy(calls: Calls) -> Gathering[str]:
    """It has just passed an item on."""
    gathered = Gathering[str](calls, most=3, seconds=LONG)
    gathered.add("first")
    gathered.flush()
    return gathered


async def steps() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_after_a_quiet_period_items_go_at_once_and_those_of_one_step_together(calls: Calls) -> None:
    gathered = Gathering[str](calls, most=10, seconds=LONG)
    for item in "abc":
        gathered.add(item)
    assert calls.calls == []
    await steps()
    assert calls.calls == [["a", "b", "c"]]


async def test_under_load_items_are_held(busy: Gathering[str], calls: Calls) -> None:
    busy.add("a")
    await steps()
    busy.add("b")
    await steps()
    assert calls.calls == [["first"]]
    busy.flush()
    assert calls.calls == [["first"], ["a", "b"]]


async def test_held_items_go_in_time(calls: Calls) -> None:
    gathered = Gathering[str](calls, most=10, seconds=0.01)
    for item in "ab":
        calls.some.clear()
        gathered.add(item)
        async with asyncio.timeout(30):
            await calls.some.wait()
    assert calls.calls == [["a"], ["b"]]


async def test_an_urgent_item_takes_the_held_ones_with_it(
    busy: Gathering[str], calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "URGENT_SECONDS", 0.0)
    busy.add("a")
    busy.add("b", urgent=True)
    await steps()
    assert calls.calls[1:] == [["a", "b"]]


async def test_a_flood_of_urgent_items_is_gathered_too(
    busy: Gathering[str], calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "URGENT_SECONDS", LONG / 2)
    busy.add("a", urgent=True)
    await steps()
    assert calls.calls == [["first"]]


async def test_full_is_passed_on_at_once_and_never_too_much(busy: Gathering[str], calls: Calls) -> None:
    busy.add("a", 2)
    busy.add("b", 2)
    assert calls.calls[1:] == [["a"]]
    busy.add("c")
    assert calls.calls[2:] == [["b", "c"]]


async def test_nothing_is_passed_on_twice_or_empty(busy: Gathering[str], calls: Calls) -> None:
    busy.add("a")
    busy.flush()
    busy.flush()
    await steps()
    assert calls.calls == [["first"], ["a"]]


async def test_several_gatherers_pass_on_at_the_same_times(busy: Gathering[str], calls: Calls) -> None:
    other = Gathering[str](calls, most=3, seconds=LONG)
    other.add("first")
    await steps()
    other.add("a")
    await steps()
    busy.add("b")
    assert other._due == busy._due
