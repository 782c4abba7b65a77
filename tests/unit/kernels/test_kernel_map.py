from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.cluster.placement import Placement
from kernel_service.errors import Aborted, LeaseLost, NotFound, SealingKeyUnknown, StoreUnavailable
from kernel_service.kernels.evictor import FILLED, Evictor
from kernel_service.kernels.kernel import EvictionReason, Kernel
from kernel_service.kernels.kernel_map import KernelMap
from kernel_service.ports.kernels import Activation
from kernel_service.ports.turns import HistoryItem
from tests.clock import Clock
from tests.node_view import ME, Board, View

if TYPE_CHECKING:
    from collections.abc import Mapping


class Store:
    """Counts activations; `away` makes the next one fail."""

    def __init__(self) -> None:
        self.epochs: dict[str, int] = {}
        self.released: list[tuple[str, int]] = []
        self.away = 0
        self.activating: asyncio.Event | None = None
        self.read = asyncio.Event()
        self.resets = 0
        self.outdated: list[str] = []
        self.attempts = 0
        self.writes = 0
        self.releasing: asyncio.Event | None = None
        self.lost = False

    async def activate(self, person_id: str, *, owner: str, model: str = "") -> Activation:
        await asyncio.sleep(0)
        if self.lost:
            raise LeaseLost
        if self.away:
            self.away -= 1
            raise StoreUnavailable
        self.epochs[person_id] = self.epochs.get(person_id, 0) + 1
        history = [] if self.resets else [HistoryItem("input", {"text": "x" * 500})]
        self.read.set()
        if self.activating is not None:
            await self.activating.wait()
        return Activation(person_id, self.epochs[person_id], history)

    async def reset(self, person_id: str) -> str:
        self.resets += 1
        return person_id

    async def outdate(self, person_id: str) -> bool:
        self.outdated.append(person_id)
        return len(self.outdated) > self.attempts

    async def release(self, person_id: str, epoch: int) -> None:
        if self.releasing is not None:
            await self.releasing.wait()
        self.released.append((person_id, epoch))

    async def release_all(self, leases: Mapping[str, int]) -> None:
        self.writes += 1
        self.released += leases.items()
        if self.releasing is not None:
            await self.releasing.wait()


class Turns:
    """Runs `work` once for each message put; records who ran, and fails if two of one person ever overlap.

    `lost`: whose lease the next turn finds lost.
    """

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.running: set[str] = set()
        self.idle = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.holds_on: asyncio.Event | None = None
        self.started = asyncio.Event()
        self.answers: list[float | None] = []
        self.error: Exception | None = None
        self.lost: set[str] = set()

    async def run_next(self, kernel: Kernel) -> float | None:
        assert kernel.person_id not in self.running
        self.running.add(kernel.person_id)
        self.started.set()
        try:
            if self.gate is not None:
                await self.gate.wait()
            if kernel.person_id in self.lost:
                self.lost.discard(kernel.person_id)
                raise LeaseLost
            if self.error is not None:
                error, self.error = self.error, None
                raise error
            self.ran.append(kernel.person_id)
            return self.answers.pop(0) if self.answers else None
        finally:
            if self.holds_on is not None:
                await self.holds_on.wait()
            self.running.discard(kernel.person_id)


@pytest.fixture
def parts() -> tuple[KernelMap, Store, Turns, Clock]:
    store, turns, clock = Store(), Turns(), Clock(1000.0)
    return kernel_map(store, turns, clock, View(), Board()), store, turns, clock


def kernel_map(store: Store, turns: Turns, clock: Clock, view: View, board: Board) -> KernelMap:
    made: Any = store
    return KernelMap(made, made, turns, Placement(view, board), max_turns=4, clock=clock, retry_seconds=0)


async def settled(kernels: KernelMap) -> None:
    """Until no person has anything to do."""
    while kernels._tasks or kernels._timers:
        await asyncio.sleep(0)


async def test_concurrent_first_messages_activate_once(parts: Any) -> None:
    kernels, store, _turns, _ = parts
    for _ in range(100):
        kernels.wake("p_1")
    await settled(kernels)
    assert store.epochs == {"p_1": 1}
    assert len(kernels) == 1


async def test_message_during_a_turn_is_run_after_it(parts: Any) -> None:
    kernels, _, turns, _ = parts
    turns.gate = asyncio.Event()
    kernels.wake("p_1")
    await turns.started.wait()
    kernels.wake("p_1")
    turns.gate.set()
    await settled(kernels)
    assert turns.ran == ["p_1", "p_1"]


async def test_a_person_who_is_due_at_once_needs_no_timer(parts: Any) -> None:
    kernels, _, turns, clock = parts
    kernels.wake_at("p_1", clock.now + 60)
    kernels.wake_at("p_1", clock.now)
    assert not kernels._timers
    await settled(kernels)
    assert turns.ran == ["p_1"]


async def test_people_run_concurrently(parts: Any) -> None:
    kernels, _, turns, _ = parts
    turns.gate = asyncio.Event()
    kernels.wake("p_1")
    await turns.started.wait()
    held, turns.gate = turns.gate, None
    kernels.wake("p_2")
    while "p_2" not in turns.ran:
        await asyncio.sleep(0)
    assert kernels.busy("p_1")
    held.set()
    await settled(kernels)


async def test_turns_beyond_the_limit_wait_for_a_slot(parts: Any) -> None:
    kernels, _, turns, _ = parts
    turns.gate = asyncio.Event()
    for number in range(6):
        kernels.wake(f"p_{number}")
    while len(turns.running) < 4:
        await asyncio.sleep(0)
    assert kernels.waiting == 2
    turns.gate.set()
    await settled(kernels)
    assert (len(turns.ran), kernels.waiting) == (6, 0)


async def test_evicting_a_busy_kernel_is_refused(parts: Any) -> None:
    kernels, store, turns, _ = parts
    turns.gate = asyncio.Event()
    kernels.wake("p_1")
    await turns.started.wait()
    with pytest.raises(Aborted, match="in a turn"):
        await kernels.evict("p_1", EvictionReason.OPERATOR)
    turns.gate.set()
    await settled(kernels)
    await kernels.evict("p_1", EvictionReason.OPERATOR)
    assert store.released == [("p_1", 1)]
    assert kernels.evictions == {EvictionReason.OPERATOR: 1}
    with pytest.raises(NotFound):
        await kernels.evict("p_1", EvictionReason.OPERATOR)


async def test_reactivation_after_eviction_increments_the_epoch(parts: Any) -> None:
    kernels, store, _, _ = parts
    kernels.wake("p_1")
    await settled(kernels)
    await kernels.evict("p_1", EvictionReason.IDLE)
    kernels.wake("p_1")
    await settled(kernels)
    assert store.epochs == {"p_1": 2}


@pytest.mark.parametrize("error", [StoreUnavailable(), RuntimeError("a bug")])
async def test_broken_turn_is_retried_from_the_journal(parts: Any, error: Exception) -> None:
    kernels, store, turns, _ = parts
    turns.error = error
    kernels.wake("p_1")
    await settled(kernels)
    assert turns.ran == ["p_1"]
    assert store.epochs == {"p_1": 2}


async def test_error_for_an_operator_is_not_retried(parts: Any) -> None:
    kernels, store, turns, _ = parts
    turns.error = SealingKeyUnknown("no such key")
    kernels.wake("p_1")
    await settled(kernels)
    assert turns.ran == []
    assert len(kernels) == 0
    kernels.wake("p_1")
    await settled(kernels)
    assert turns.ran == ["p_1"]
    assert store.epochs == {"p_1": 2}


async def test_unavailable_store_is_retried(parts: Any) -> None:
    kernels, store, turns, _ = parts
    store.away = 3
    kernels.wake("p_1")
    await settled(kernels)
    assert turns.ran == ["p_1"]


async def test_the_home_retries_a_lost_lease(parts: Any) -> None:
    """No other node may have it: a reset at another node makes a lease outdated, too."""
    kernels, store, turns, _ = parts
    turns.error = LeaseLost()
    kernels.wake("p_1")
    await settled(kernels)
    assert (turns.ran, store.epochs) == (["p_1"], {"p_1": 2})
    assert kernels.evictions == {EvictionReason.LEASE_LOST: 1}


async def test_a_lost_lease_is_left_to_a_home_elsewhere() -> None:
    store, turns, view, board = Store(), Turns(), View(ME, "k_other"), Board()
    kernels = kernel_map(store, turns, Clock(1000.0), view, board)
    view.homes["p_1"] = "k_other"
    turns.error = LeaseLost()
    kernels.wake("p_1")
    await settled(kernels)
    assert (turns.ran, store.epochs, len(kernels)) == ([], {"p_1": 1}, 0)
    assert [node_id for node_id, _ in board.told] == ["k_other"]


async def test_a_merged_person_is_not_retried(parts: Any) -> None:
    kernels, store, turns, _ = parts
    store.lost = True
    kernels.wake("p_1")
    await settled(kernels)
    assert (turns.ran, store.epochs) == ([], {})


async def test_a_check_also_wakes_the_running_turn(parts: Any) -> None:
    """The notice of a message that another node accepted may be lost. The turn ends as without a look."""
    kernels, _, turns, _ = parts
    gate = turns.gate = asyncio.Event()
    kernels.wake("p_1")
    await turns.started.wait()
    kernel = kernels.get("p_1")
    wakeup = kernel.wakeup = asyncio.get_running_loop().create_future()
    kernels.check("p_1")
    kernels.check("p_2")
    assert wakeup.done()
    gate.set()
    await settled(kernels)
    assert sorted(turns.ran) == ["p_1", "p_2"]


async def test_a_check_skips_a_person_whom_only_an_operator_can_help(
    parts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    kernels, _, turns, clock = parts
    turns.error = SealingKeyUnknown("unknown")
    kernels.wake("p_1")
    await settled(kernels)
    for _ in range(3):
        kernels.check("p_1")
        await settled(kernels)
    assert (turns.ran, caplog.text.count("person deferred")) == ([], 1)
    clock.now += 60
    kernels.check("p_1")
    await settled(kernels)
    assert turns.ran == ["p_1"]


async def test_merge_evicts_both(parts: Any) -> None:
    kernels, store, turns, _ = parts
    for person_id in ("p_old", "p_new"):
        kernels.wake(person_id)
    await settled(kernels)
    kernels.merged("p_new", into="p_old")
    kernels.wake("p_old")
    await settled(kernels)
    assert [kernel.person_id for kernel in kernels.resident()] == ["p_old"]
    assert turns.ran == ["p_old", "p_new", "p_old"]
    assert store.epochs == {"p_old": 2, "p_new": 1}  # their state in memory is outdated
    assert kernels.evictions == {EvictionReason.LEASE_LOST: 2}


async def test_merge_during_turns_reactivates_the_remaining_person(parts: Any) -> None:
    kernels, store, turns, _ = parts
    gate = turns.gate = asyncio.Event()
    for person_id in ("p_old", "p_new"):
        kernels.wake(person_id)
    while len(turns.running) < 2:
        await asyncio.sleep(0)
    turns.lost = {"p_old", "p_new"}  # their leases ended
    kernels.merged("p_new", into="p_old")
    kernels.wake("p_old")
    gate.set()
    await settled(kernels)
    assert turns.ran == ["p_old"]
    assert [kernel.person_id for kernel in kernels.resident()] == ["p_old"]
    assert store.epochs == {"p_old": 2, "p_new": 1}


async def test_held_turn_sets_a_timer(parts: Any) -> None:
    kernels, _, turns, clock = parts
    turns.answers = [clock.now + 0.001, clock.now, None]
    kernels.wake("p_1")
    await settled(kernels)
    assert turns.ran == ["p_1"] * 3


async def test_sweep_evicts_idle_kernels_only(parts: Any) -> None:
    kernels, _, _, clock = parts
    evictor = Evictor(kernels, idle_seconds=60, memory_bytes=0, clock=clock)
    kernels.wake("p_old")
    await settled(kernels)
    clock.now += 30
    kernels.wake("p_new")
    await settled(kernels)
    clock.now += 30
    await evictor.sweep()
    assert [kernel.person_id for kernel in kernels.resident()] == ["p_new"]
    assert kernels.evictions == {EvictionReason.IDLE: 1}


async def test_memory_pressure_evicts_least_recently_used_until_within_budget(parts: Any) -> None:
    kernels, store, _, clock = parts
    for number in range(4):
        kernels.wake(f"p_{number}")
        await settled(kernels)
        clock.now += 1
    kernels.wake("p_0")  # used again: p_1 is the oldest now
    await settled(kernels)
    one = next(iter(kernels.resident())).bytes
    base = 100 * one

    def resident_bytes() -> int:
        return int(base + sum(kernel.bytes for kernel in kernels.resident()))

    memory = int((base + 2 * one) / FILLED) + 1
    evictor = Evictor(kernels, idle_seconds=1e9, memory_bytes=memory, clock=clock, resident_bytes=resident_bytes)
    await evictor.sweep()
    assert len(kernels) == 4
    for _ in range(2):
        await evictor.bound_memory()
        assert [kernel.person_id for kernel in kernels.resident()] == ["p_3", "p_0"]
    assert kernels.evictions == {EvictionReason.MEMORY: 2}
    assert sorted(store.released) == [("p_1", 1), ("p_2", 1)]


async def test_memory_pressure_spares_busy_kernels_and_is_reported_once(
    parts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    kernels, _, turns, clock = parts
    turns.gate = asyncio.Event()
    kernels.wake("p_1")
    await turns.started.wait()
    evictor = Evictor(kernels, idle_seconds=0, memory_bytes=1000, clock=clock, resident_bytes=lambda: 10_000)
    for _ in range(3):
        await evictor.bound_memory()
    assert [kernel.person_id for kernel in kernels.resident()] == ["p_1"]
    assert caplog.text.count("KERNEL_MEMORY_MB") == 1
    turns.gate.set()
    await settled(kernels)


async def test_without_a_limit_no_memory_is_freed(parts: Any) -> None:
    kernels, _, _, clock = parts
    kernels.wake("p_1")
    await settled(kernels)
    await Evictor(kernels, idle_seconds=0, memory_bytes=0, clock=clock, resident_bytes=lambda: 10**12).bound_memory()
    assert len(kernels) == 1


async def test_drain_lets_turns_end_and_evicts_all(parts: Any) -> None:
    kernels, store, turns, _ = parts
    turns.gate = asyncio.Event()
    kernels.wake("p_1")
    await turns.started.wait()
    drain = asyncio.create_task(kernels.drain(seconds=60))
    await asyncio.sleep(0)
    kernels.wake("p_2")  # too late: the next process serves them
    turns.gate.set()
    await drain
    assert turns.ran == ["p_1"]
    assert store.released == []
    assert kernels.evictions == {EvictionReason.SHUTDOWN: 1}


async def test_drain_writes_nothing_for_people_who_rest(parts: Any) -> None:
    kernels, store, _, _ = parts
    for number in range(3000):
        kernels.wake(f"p_{number}")
    await settled(kernels)
    await kernels.drain(seconds=60)
    assert (store.writes, store.released) == (0, [])
    assert kernels.evictions == {EvictionReason.SHUTDOWN: 3000}
    with pytest.raises(NotFound):
        await kernels.evict("p_2", EvictionReason.OPERATOR)


async def test_drain_keeps_its_deadline_when_a_turn_ignores_cancellation(parts: Any) -> None:
    kernels, _, turns, _ = parts
    turns.gate = asyncio.Event()
    turns.holds_on = asyncio.Event()
    kernels.wake("p_1")
    await turns.started.wait()
    async with asyncio.timeout(10):
        await kernels.drain(seconds=0.02)
    assert len(kernels) == 0
    turns.holds_on.set()


async def test_drain_cancels_a_late_turn(parts: Any) -> None:
    kernels, _, turns, _ = parts
    turns.gate = asyncio.Event()
    kernels.wake("p_1")
    await turns.started.wait()
    await kernels.drain(seconds=0)
    assert turns.ran == []
    assert len(kernels) == 0


async def test_reset_of_a_resident_person_reloads_the_history(parts: Any) -> None:
    kernels, store, _turns, _ = parts
    kernels.wake("p_1")
    await settled(kernels)
    before = kernels.get("p_1")
    await kernels.reset("p_1")
    await settled(kernels)
    assert before.outdated
    assert store.epochs == {"p_1": 2}
    assert kernels.get("p_1").history.count == 0


async def test_reset_during_activation_reloads_the_history(parts: Any) -> None:
    kernels, store, turns, _ = parts
    store.activating = asyncio.Event()
    kernels.wake("p_1")
    await store.read.wait()
    await kernels.reset("p_1")
    store.activating.set()
    await settled(kernels)
    assert kernels.get("p_1").history.count == 0
    assert set(turns.ran) == {"p_1"}


async def test_reset_survives_a_cancelled_caller(parts: Any) -> None:
    kernels, store, _turns, _ = parts
    kernels.wake("p_1")
    await settled(kernels)
    caller = asyncio.create_task(kernels.reset("p_1"))
    await asyncio.sleep(0)
    caller.cancel()
    while not store.resets or kernels._tasks:
        await asyncio.sleep(0)
    await settled(kernels)
    assert kernels.get("p_1").history.count == 0
