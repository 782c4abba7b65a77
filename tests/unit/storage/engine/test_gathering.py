"""Units that are put together leave together, in their order; one that no caller awaits waits to share a commit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kernel_service.storage.engine import gathering
from kernel_service.storage.engine.batch import BATCH, Work
from kernel_service.storage.engine.gathering import Gathering

if TYPE_CHECKING:
    import pytest


def work(name: str) -> Work:
    unit: Any = name
    return Work(unit, None)


class Writer:
    def __init__(self) -> None:
        self.groups: list[list[Any]] = []
        self.woken = asyncio.Event()
        self.gathering = Gathering(self.take)

    def take(self, works: list[Work]) -> None:
        self.groups.append([each.unit for each in works])
        self.woken.set()


async def test_units_of_one_iteration_wake_the_writer_once() -> None:
    writer = Writer()
    for name in "abc":
        writer.gathering.put(work(name))
    assert writer.groups == []
    await asyncio.sleep(0)
    writer.gathering.put(work("d"))
    await asyncio.sleep(0)
    assert writer.groups == [["a", "b", "c"], ["d"]]


async def test_an_unawaited_unit_leaves_with_the_next_awaited_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LINGER_SECONDS", 3600.0)
    writer = Writer()
    writer.gathering.put_behind(work("mark"))
    await asyncio.sleep(0)
    assert writer.groups == []
    writer.gathering.put_behind(work("another"))
    writer.gathering.put(work("awaited"))
    writer.gathering.put_behind(work("later"))
    await asyncio.sleep(0)
    assert writer.groups == [["mark", "another", "awaited", "later"]]


async def test_an_unawaited_unit_leaves_alone_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LINGER_SECONDS", 0.001)
    writer = Writer()
    for name in ("first", "second"):
        writer.woken.clear()
        writer.gathering.put_behind(work(name))
        await asyncio.wait_for(writer.woken.wait(), 10)
    assert writer.groups == [["first"], ["second"]]


async def test_the_remaining_units_leave_at_once_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LINGER_SECONDS", 3600.0)
    writer = Writer()
    writer.gathering.put_behind(work("mark"))
    writer.gathering.leave()
    writer.gathering.leave()
    await asyncio.sleep(0)
    assert writer.groups == [["mark"]]


async def test_a_crowd_leaves_in_several_groups() -> None:
    writer = Writer()
    names = [str(number) for number in range(2 * BATCH + 1)]
    for name in names:
        writer.gathering.put(work(name))
    await asyncio.sleep(0)
    assert [len(group) for group in writer.groups] == [BATCH, BATCH, 1]
    assert [name for group in writer.groups for name in group] == names
