"""Tasks that are cancelled end, also those that miss the first cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from serving import cancellation
from serving.cancellation import cancel_and_wait


async def forever() -> None:
    await asyncio.Event().wait()


async def deaf(times: int) -> None:
    """Loses some cancellations, as a library may."""
    for _ in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def begun(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


async def test_tasks_end_and_their_ends_are_returned() -> None:
    async def failing() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        raise ValueError("at the end")

    tasks = [asyncio.create_task(forever()), asyncio.create_task(failing())]
    await begun(*tasks)
    cancelled, failed = await cancel_and_wait(*tasks)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert isinstance(failed, ValueError)


async def test_a_task_that_has_ended_keeps_its_result() -> None:
    async def number() -> int:
        return 7

    task = asyncio.create_task(number())
    await task
    assert await cancel_and_wait(task) == [7]
    assert await cancel_and_wait() == []


@pytest.mark.parametrize("times", [1, 3])
async def test_a_task_that_misses_a_cancellation_is_cancelled_again(
    times: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cancellation, "AGAIN_SECONDS", 0.01)
    task = asyncio.create_task(deaf(times), name="deaf")
    await begun(task)
    await cancel_and_wait(task)
    assert task.cancelled()
    assert caplog.messages == ["task deaf continues after it was cancelled: cancelling it again"] * times


async def test_a_caller_that_is_cancelled_does_not_wait() -> None:
    task = asyncio.create_task(deaf(1))
    await begun(task)
    ending = asyncio.create_task(cancel_and_wait(task))
    await begun(ending)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert not task.done()
    await cancel_and_wait(task)
