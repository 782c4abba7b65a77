"""People move to another node: when their home changes, when another node has them, when this one drains."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import LeaseLost, OwnedElsewhere
from kernel_service.kernels.kernel import EvictionReason
from kernel_service.ports.interruptions import Requeued
from kernel_service.ports.notices import NodeNotice, NoticeKind
from tests.clock import Clock
from tests.node_view import ME, Board, View
from tests.unit.kernels.test_kernel_map import Store, Turns, kernel_map, settled

if TYPE_CHECKING:
    from kernel_service.kernels.kernel_map import KernelMap
    from kernel_service.ports.kernels import Activation

OTHER = "k_other"


class Here:
    """A kernel map with another node beside it."""

    def __init__(self) -> None:
        self.store, self.turns, self.clock = Store(), Turns(), Clock(1000.0)
        self.view, self.board = View(ME, OTHER), Board()
        self.kernels: KernelMap = kernel_map(self.store, self.turns, self.clock, self.view, self.board)

    async def runs(self, person_id: str) -> None:
        self.kernels.wake(person_id)
        await settled(self.kernels)

    def told(self, kind: NoticeKind = NoticeKind.WAKE) -> list[tuple[str, str]]:
        return [(node, notice.subject) for node, notice in self.board.told if notice.kind is kind]


@pytest.fixture
def here() -> Here:
    return Here()


async def test_a_person_at_rest_moves_at_their_next_wake(here: Here) -> None:
    await here.runs("p_1")
    here.view.homes["p_1"] = OTHER
    assert here.told() == []
    await here.runs("p_1")
    assert here.turns.ran == ["p_1"]
    assert here.store.released == [("p_1", 1)]
    assert here.told() == [(OTHER, "p_1")]
    assert here.kernels.evictions == {EvictionReason.MOVED: 1}


async def test_a_person_in_a_turn_moves_after_it(here: Here) -> None:
    gate = here.turns.gate = asyncio.Event()
    here.kernels.wake("p_1")
    await here.turns.started.wait()
    here.view.homes["p_1"] = OTHER
    gate.set()
    await settled(here.kernels)
    assert here.turns.ran == ["p_1"]
    assert here.store.released == [("p_1", 1)]
    assert here.told() == []  # nothing waits


async def test_a_message_of_the_meantime_moves_with_them(here: Here) -> None:
    gate = here.turns.gate = asyncio.Event()
    here.kernels.wake("p_1")
    await here.turns.started.wait()
    here.view.homes["p_1"] = OTHER
    here.kernels.wake("p_1")
    gate.set()
    await settled(here.kernels)
    assert here.turns.ran == ["p_1"]
    assert here.board.told == [(OTHER, NodeNotice(NoticeKind.WAKE, "p_1", (here.clock.now,)))]


async def test_a_deferred_turn_is_checked_in_time_by_the_new_home(here: Here) -> None:
    await here.runs("p_1")
    gate = here.turns.gate = asyncio.Event()
    here.turns.started.clear()
    here.turns.answers = [here.clock.now + 40]
    here.kernels.wake("p_1")
    await here.turns.started.wait()
    here.view.homes["p_1"] = OTHER
    gate.set()
    await settled(here.kernels)
    assert here.board.told == [(OTHER, NodeNotice(NoticeKind.WAKE, "p_1", (here.clock.now + 40,)))]


async def test_a_person_whom_another_node_has_is_woken_there_once(here: Here) -> None:
    async def activate(*_: object, **__: object) -> None:
        raise OwnedElsewhere(OTHER)

    here.store.activate = activate  # type: ignore[assignment,method-assign]
    await here.runs("p_1")
    assert here.told() == [(OTHER, "p_1")]
    assert here.turns.ran == []
    assert not here.kernels.busy("p_1")


async def test_a_kernel_that_was_released_in_the_meantime_is_taken(here: Here) -> None:
    activate, tries = here.store.activate, []

    async def first_refused(person_id: str, **how: str) -> Activation:
        tries.append(person_id)
        if len(tries) == 1:
            raise OwnedElsewhere("")
        return await activate(person_id, **how)

    here.store.activate = first_refused  # type: ignore[method-assign]
    await here.runs("p_1")
    assert here.turns.ran == ["p_1"]
    assert here.board.told == []


async def test_a_person_who_was_taken_over_is_left_to_their_home(here: Here) -> None:
    await here.runs("p_1")
    here.view.homes["p_2"] = OTHER
    here.turns.error = LeaseLost()
    await here.runs("p_2")
    assert here.told() == [(OTHER, "p_2")]
    assert here.kernels.evictions == {EvictionReason.LEASE_LOST: 1}


async def test_a_drain_notifies_the_home_of_each_returned_turn(here: Here) -> None:
    gate = here.turns.gate = asyncio.Event()
    here.kernels.wake("p_1")
    await here.turns.started.wait()
    here.turns.error = Requeued()
    here.view.homes["p_1"] = OTHER
    drain = asyncio.create_task(here.kernels.drain(seconds=60))
    await asyncio.sleep(0)
    gate.set()
    await drain
    assert here.told() == [(OTHER, "p_1")]
    assert here.store.released == []


async def test_a_wake_during_a_drain_goes_to_the_home(here: Here) -> None:
    here.view.homes |= {"p_1": OTHER, "p_2": OTHER}
    gate = here.turns.gate = asyncio.Event()
    here.kernels.wake("p_1")
    await here.turns.started.wait()
    drain = asyncio.create_task(here.kernels.drain(seconds=60))
    await asyncio.sleep(0)
    for person_id in ("p_1", "p_2"):
        here.kernels.wake(person_id)
    here.kernels.wake_at("p_2", here.clock.now + 5)
    assert here.told() == [(OTHER, "p_2")] * 2  # a running turn is told about first, when it has ended
    gate.set()
    await drain
    assert here.told() == [(OTHER, "p_2"), (OTHER, "p_2"), (OTHER, "p_1")]


async def test_a_person_of_a_draining_node_is_not_sent_back_to_it(here: Here) -> None:
    here.view.nodes = [replace(node, is_draining=node.id == OTHER) for node in here.view.nodes]

    async def activate(*_: object, **__: object) -> None:
        raise OwnedElsewhere(OTHER)

    here.store.activate = activate  # type: ignore[assignment,method-assign]
    await here.runs("p_1")
    assert here.told() == []


async def test_a_message_accepted_at_another_node_is_queried(here: Here) -> None:
    await here.runs("p_1")
    kernel = here.kernels.get("p_1")
    assert kernel is not None
    kernel.foresight = object()  # type: ignore[assignment]
    here.board.receive(NodeNotice(NoticeKind.WAKE, "p_1", (here.clock.now,)))
    assert kernel.foresight is None
    await settled(here.kernels)
    assert here.turns.ran == ["p_1", "p_1"]


async def test_a_reset_elsewhere_reloads_the_history(here: Here) -> None:
    await here.runs("p_1")
    here.board.receive(NodeNotice(NoticeKind.RESET, "p_1"))
    here.board.receive(NodeNotice(NoticeKind.RESET, "p_2"))  # not resident here
    await settled(here.kernels)
    assert here.store.epochs == {"p_1": 2}


async def test_a_reset_here_is_sent_to_all_and_wakes_the_home(here: Here) -> None:
    here.view.homes["p_1"] = OTHER
    await here.kernels.reset("p_1")
    assert here.told(NoticeKind.RESET) == [("", "p_1")]
    assert here.told() == [(OTHER, "p_1")]
    assert here.store.epochs == {}


async def test_a_reset_waits_for_a_turn_at_another_node_to_end(here: Here) -> None:
    here.store.attempts = 2
    here.view.homes["p_1"] = OTHER
    await here.kernels.reset("p_1")
    while len(here.store.outdated) < 3:
        await asyncio.sleep(0)
    for _ in range(3):
        await asyncio.sleep(0)
    assert here.store.outdated == ["p_1"] * 3
