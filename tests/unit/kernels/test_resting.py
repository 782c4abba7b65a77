"""A kernel rests some time after its last turn: its history leaves memory, and is read again for its next turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.errors import OwnedElsewhere
from kernel_service.kernels.evictor import FILLED, REST_SECONDS, Evictor
from kernel_service.kernels.foresight import Foresight
from kernel_service.kernels.kernel import EvictionReason, Kernel
from tests.clock import Clock
from tests.node_view import Board, View
from tests.unit.kernels.test_kernel_map import Store, Turns, kernel_map, settled

if TYPE_CHECKING:
    from kernel_service.kernels.kernel_map import KernelMap
    from kernel_service.ports.kernels import Activation

FORESIGHT = Foresight("", 0, 0, 0, has_connections=False, has_facts=False)


class Histories(Store):
    """`owned_by`: another node has taken the lease."""

    owned_by = ""

    async def activate(self, person_id: str, *, owner: str, model: str = "") -> Activation:
        if self.owned_by:
            raise OwnedElsewhere(self.owned_by)
        return await super().activate(person_id, owner=owner, model=model)


class Reading(Turns):
    """Turns that look at the history, and notes how many items it has."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[int] = []

    async def run_next(self, kernel: Kernel) -> float | None:
        self.items.append(kernel.history.count)
        return await super().run_next(kernel)


class Node:
    """A kernel map with its evictor."""

    def __init__(self) -> None:
        self.store, self.turns, self.clock = Histories(), Reading(), Clock(1000.0)
        self.kernels: KernelMap = kernel_map(self.store, self.turns, self.clock, View(), Board())

    def evictor(self, **changes: Any) -> Evictor:
        given: dict[str, Any] = {"idle_seconds": 1e9, "memory_bytes": 0, "clock": self.clock} | changes
        return Evictor(self.kernels, **given)

    async def serve(self, person_id: str = "p_1") -> Kernel:
        self.kernels.wake(person_id)
        await settled(self.kernels)
        kernel = self.kernels.get(person_id)
        assert kernel is not None
        return kernel

    async def resting(self, person_id: str = "p_1") -> Kernel:
        kernel = await self.serve(person_id)
        kernel.foresight = FORESIGHT
        self.clock.now += REST_SECONDS
        await self.evictor().sweep()
        assert kernel.rests
        return kernel


@pytest.fixture
async def node() -> Node:
    return Node()


async def test_kernel_rests_after_its_time_and_no_earlier(node: Node) -> None:
    kernel = await node.serve()
    before = kernel.bytes
    node.clock.now += REST_SECONDS - 1
    await node.evictor().sweep()
    assert not kernel.rests
    node.clock.now += 1
    await node.evictor().sweep()
    assert kernel.rests
    assert not node.kernels.awake()
    assert kernel.bytes < before
    assert (kernel.history_items, kernel.history_bytes) == (1, 0)
    assert not node.store.released, "it keeps the lease"
    with pytest.raises(RuntimeError):
        _ = kernel.history


async def test_resting_kernel_reads_its_history_for_the_next_turn_and_keeps_its_foresight(node: Node) -> None:
    kernel = await node.resting()
    assert await node.serve() is kernel
    assert [*node.kernels.awake()] == [kernel]
    assert node.turns.items == [1, 1]
    assert (kernel.epoch, kernel.foresight) == (2, FORESIGHT)
    assert node.kernels.activations == 2


async def test_foresight_ends_if_another_owner_was_between(node: Node) -> None:
    kernel = await node.resting()
    node.store.epochs["p_1"] += 1
    await node.serve()
    assert (kernel.epoch, kernel.foresight) == (3, None)


async def test_busy_kernel_does_not_rest(node: Node) -> None:
    node.turns.gate = asyncio.Event()
    node.kernels.wake("p_1")
    await node.turns.started.wait()
    node.clock.now += 10 * REST_SECONDS
    await node.evictor().sweep()
    node.turns.gate.set()
    await settled(node.kernels)
    assert node.turns.ran == ["p_1"]


async def test_reset_while_the_history_is_read_reads_it_again(node: Node) -> None:
    kernel = await node.resting()
    node.store.activating = asyncio.Event()
    node.store.read.clear()
    node.kernels.wake("p_1")
    await node.store.read.wait()
    reset = asyncio.create_task(node.kernels.reset("p_1"))
    while node.kernels.get("p_1") is kernel:
        await asyncio.sleep(0)
    node.store.activating.set()
    await reset
    await settled(node.kernels)
    assert node.kernels.get("p_1") is not kernel
    assert set(node.turns.items[1:]) == {0}, "the history from before the reset was not used"


async def test_kernel_that_lost_its_lease_at_rest_leaves_memory(node: Node) -> None:
    await node.resting()
    node.store.owned_by = "k_other"
    node.kernels.wake("p_1")
    await settled(node.kernels)
    assert node.kernels.get("p_1") is None
    assert node.kernels.evictions == {EvictionReason.LEASE_LOST: 1}


async def test_full_memory_lets_kernels_rest_before_it_evicts(node: Node) -> None:
    kernels = []
    for number in range(4):
        kernels.append(await node.serve(f"p_{number}"))
        node.clock.now += 1
    rested = node.kernels.rest(kernels[0])
    await node.serve("p_0")

    async def bound(surplus: int) -> None:
        full = int(100_000 * FILLED) + surplus
        await node.evictor(memory_bytes=100_000, resident_bytes=lambda: full).bound_memory()

    await bound(2 * rested)
    assert [kernel.person_id for kernel in kernels if kernel.rests] == ["p_1", "p_2"]
    assert not node.kernels.evictions
    await bound(2 * rested + 1)
    assert all(kernel.rests for kernel in kernels)
    assert [kernel.person_id for kernel in node.kernels.resident()] == ["p_2", "p_3", "p_0"]
