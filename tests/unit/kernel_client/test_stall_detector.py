from __future__ import annotations

import asyncio

import pytest

from kernel_client.stall_detector import BEAT_SECONDS, STOPPED_SECONDS, StallDetector
from tests.clock import Clock


def test_a_running_process_was_never_suspended() -> None:
    clock = Clock(100.0)
    stall_detector = StallDetector(clock)
    for _ in range(9):
        clock.now += BEAT_SECONDS
        assert stall_detector.last_resumed() == 100.0


def test_the_first_check_after_resuming_detects_the_suspension() -> None:
    clock = Clock(100.0)
    stall_detector = StallDetector(clock)
    clock.now += STOPPED_SECONDS + 1
    assert stall_detector.last_resumed() == clock.now
    clock.now += BEAT_SECONDS
    assert stall_detector.last_resumed() == clock.now - BEAT_SECONDS  # and for every other stream of that time


async def test_a_suspension_interrupts_once_what_began_before() -> None:
    clock = Clock(100.0)
    stall_detector = StallDetector(clock)
    interrupted = asyncio.create_task(_wait_in(stall_detector))
    await asyncio.sleep(0)
    for _ in range(2):
        clock.now += STOPPED_SECONDS + 1
        stall_detector.last_resumed()
    with pytest.raises(TimeoutError):
        await interrupted
    async with stall_detector.interrupts():
        stall_detector.last_resumed()
        await asyncio.sleep(0)


async def _wait_in(stall_detector: StallDetector) -> None:
    async with stall_detector.interrupts():
        await asyncio.sleep(5)
