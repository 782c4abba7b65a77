from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.errors import StoreUnavailable
from kernel_service.people.people import People
from kernel_service.ports.messages import Alias
from kernel_service.ports.people import Linked, LinkOutcome
from tests.notice_air import NoticeAir

if TYPE_CHECKING:
    from collections.abc import Callable

OLD, NEW = Alias("test:US.1"), Alias("test:US.2")


class Store:
    """Answers with what a test puts here, once the gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.answer: Callable[[], Linked] = lambda: Linked(LinkOutcome.MERGED, "p_1", merged_id="p_2")

    async def link(self, previous: Alias, current: Alias, *, now: float) -> Linked:
        self.asked.set()
        await self.gate.wait()
        return self.answer()

    async def merge(self, one_id: str, other_id: str, *, now: float) -> Linked:
        return self.answer()


class Kernels:
    """The kernels of a node, and its placement."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.woken: list[str] = []
        self.known = asyncio.Event()

    def merged(self, person_id: str, into: str) -> None:
        self.told.append((person_id, into))
        self.known.set()

    def wake(self, person_id: str) -> None:
        self.woken.append(person_id)


@pytest.fixture
def parts() -> tuple[People, Store, Kernels]:
    store, kernels = Store(), Kernels()
    made: Any = store
    return People(made, made, kernels, kernels, NoticeAir().board("here"), lambda: 1.0), store, kernels


async def test_the_kernels_are_notified_of_a_merge(parts: Any) -> None:
    people, _, kernels = parts
    assert await people.link(OLD, NEW) is LinkOutcome.MERGED
    assert await people.merge("p_2", "p_1") == "p_1"
    assert kernels.told == [("p_2", "p_1")] * 2


async def test_the_kernels_of_other_nodes_are_notified_of_a_merge_and_one_node_wakes_the_person() -> None:
    air, made, kernels = NoticeAir(), Store(), [Kernels() for _ in range(3)]
    stores: Any = made
    nodes = [
        People(stores, stores, each, each, air.board(f"n{number}"), lambda: 1.0) for number, each in enumerate(kernels)
    ]
    await nodes[0].merge("p_2", "p_1")
    assert [each.told for each in kernels] == [[("p_2", "p_1")]] * 3
    assert [each.woken for each in kernels] == [["p_1"], [], []]


async def test_further_changes_are_announced_and_counted(parts: Any, caplog: pytest.LogCaptureFixture) -> None:
    people, store, kernels = parts
    followed = (
        Linked(LinkOutcome.MERGED, "p_1", merged_id="p_2"),
        Linked(LinkOutcome.KEPT_APART, "p_1", other_id="p_3"),
    )
    store.answer = lambda: Linked(LinkOutcome.LINKED, "p_1", then=followed)
    assert await people.link(OLD, NEW) is LinkOutcome.LINKED
    assert kernels.told == [("p_2", "p_1")]
    assert people.links == {LinkOutcome.LINKED: 1, LinkOutcome.MERGED: 1, LinkOutcome.KEPT_APART: 1}
    assert "alert: kept apart, merge them or keep both first=p_1 second=p_3" in caplog.text


async def test_the_kernels_are_notified_even_if_the_caller_gives_up(parts: Any) -> None:
    people, store, kernels = parts
    store.gate.clear()
    call = asyncio.create_task(people.link(OLD, NEW))
    await store.asked.wait()
    call.cancel()
    store.gate.set()
    await kernels.known.wait()
    assert kernels.told == [("p_2", "p_1")]
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_without_a_merge_the_kernels_are_not_notified(parts: Any) -> None:
    people, store, kernels = parts
    store.answer = lambda: Linked(LinkOutcome.LINKED, "p_1")
    assert await people.link(OLD, NEW) is LinkOutcome.LINKED
    assert kernels.told == []


async def test_outcomes_are_counted(parts: Any) -> None:
    people, store, _ = parts
    await people.link(OLD, NEW)
    store.answer = lambda: Linked(LinkOutcome.UNKNOWN)
    for _ in range(2):
        await people.link(OLD, NEW)
    assert people.links == {LinkOutcome.MERGED: 1, LinkOutcome.UNKNOWN: 2}


async def test_an_alert_names_the_people_and_no_id_of_a_channel(parts: Any, caplog: pytest.LogCaptureFixture) -> None:
    people, store, _ = parts
    store.answer = lambda: Linked(LinkOutcome.KEPT_APART, "p_1", other_id="p_2")
    await people.link(OLD, NEW)
    store.answer = lambda: Linked(LinkOutcome.KEPT_APART, "p_1", other_id="p_2", is_new=False)
    await people.link(OLD, NEW)
    [alert] = caplog.records
    assert alert.levelname == "ERROR"
    assert alert.getMessage().endswith("first=p_1 second=p_2")
    assert "test:" not in caplog.text


async def test_an_unavailable_store_is_reported_to_the_caller(parts: Any) -> None:
    people, store, kernels = parts

    def away() -> Linked:
        raise StoreUnavailable

    store.answer = away
    with pytest.raises(StoreUnavailable):
        await people.link(OLD, NEW)
    assert (people.links, kernels.told) == ({}, [])
