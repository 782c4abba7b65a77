"""Work that shares a key runs in sequence; no ticket waits for itself, and nothing is left behind."""

import asyncio
import random

import pytest

from whatsapp_gateway.inbound.keyed_queue import KeyedQueue


class Crowd:
    """`done` lists the turns that ran, in order; a turn lasts until its gate opens."""

    def __init__(self) -> None:
        self.queue = KeyedQueue()
        self.inside: list[str] = []
        self.done: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, *keys: str, timeout: float = 30) -> None:
        self.gates[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._turn(name, keys, timeout))
        await asyncio.sleep(0)

    async def go(self, *names: str) -> None:
        for name in names:
            self.gates[name].set()
            await self._tasks[name]
            await settle()

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks[name], return_exceptions=True)
        await settle()

    async def _turn(self, name: str, keys: tuple[str, ...], timeout: float) -> None:
        async with self.queue.place(keys, timeout):
            self.inside.append(name)
            await self.gates[name].wait()
            self.inside.remove(name)
            self.done.append(name)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def crowd() -> Crowd:
    return Crowd()


async def test_work_of_one_key_runs_in_sequence_and_other_work_concurrently(crowd: Crowd) -> None:
    for name, key in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")):
        await crowd.come(name, key)
    await settle()
    assert crowd.inside == ["a1", "b1"]
    await crowd.go("a1", "a2", "b1", "a3")
    assert crowd.done == ["a1", "a2", "b1", "a3"]
    assert len(crowd.queue) == 0


async def test_a_ticket_waits_for_all_its_keys_in_order(crowd: Crowd) -> None:
    await crowd.come("a", "a")
    await crowd.come("ab", "a", "b")
    await crowd.come("b", "b")  # came after "ab"
    await settle()
    assert crowd.inside == ["a"]
    await crowd.go("a")
    assert crowd.inside == ["ab"]
    await crowd.go("ab", "b")
    assert crowd.done == ["a", "ab", "b"]


async def test_a_waiter_that_gives_up_does_not_admit_others_early(crowd: Crowd) -> None:
    await crowd.come("one", "a")
    await crowd.come("two", "a")
    await crowd.come("three", "a")
    await crowd.cancel("two")
    assert crowd.inside == ["one"]
    await crowd.cancel("one")
    assert crowd.inside[-1] == "three"
    await crowd.go("three")
    assert len(crowd.queue) == 0


async def test_a_turn_that_does_not_come_in_time_raises(crowd: Crowd) -> None:
    await crowd.come("one", "a")
    with pytest.raises(TimeoutError):
        async with crowd.queue.place(["a"], 0.01):
            pass
    assert crowd.inside == ["one"]
    await crowd.go("one")
    assert len(crowd.queue) == 0


@pytest.mark.parametrize("seed", range(20))
async def test_at_random_every_ticket_gets_a_turn_and_no_key_is_held_twice(seed: int) -> None:
    rng, queue = random.Random(seed), KeyedQueue()
    held: set[str] = set()
    by_key: dict[str, list[int]] = {}

    async def turn(number: int, keys: set[str]) -> None:
        async with queue.place(keys, 30):
            assert not held & keys
            held.update(keys)
            for key in keys:
                by_key.setdefault(key, []).append(number)
            for _ in range(rng.randint(0, 4)):
                await asyncio.sleep(0)
            held.difference_update(keys)

    async with asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(turn(number, set(rng.sample("abcdefg", rng.randint(1, 3)))))
    assert len(queue) == 0
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
