"""The waits for a place, as operators see them."""

from __future__ import annotations

import asyncio

from kernel_service.kernels.person_tasks import PersonTasks, queued


async def test_waits_for_a_place_are_seen_and_counted() -> None:
    go, seen = asyncio.Event(), list[float]()

    async def serve(_: str) -> None:
        seen.append(queued.get())
        await go.wait()

    tasks = PersonTasks(serve, max_running=1)
    for person in ("p_1", "p_2"):
        tasks.wake(person)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (tasks.running, tasks.waiting) == (1, 1)
    first = tasks.longest_wait
    await asyncio.sleep(0.002)
    assert tasks.longest_wait > first >= 0
    go.set()
    while len(tasks):
        await asyncio.sleep(0)
    assert (tasks.longest_wait, tasks.running) == (0, 0)
    assert seen[1] >= 0.002 > seen[0]
    assert dict(tasks.waits.cumulative())["+Inf"] == 2


async def test_a_person_whose_wait_is_cancelled_waits_no_longer() -> None:
    async def serve(_: str) -> None:
        await asyncio.Event().wait()

    tasks = PersonTasks(serve, max_running=1)
    for person in ("p_1", "p_2"):
        tasks.wake(person)
    await asyncio.sleep(0)
    tasks.close()
    now = asyncio.get_running_loop().time()
    await tasks.end(now, now + 5)
    assert (tasks.longest_wait, tasks.running, len(tasks)) == (0, 0, 0)
