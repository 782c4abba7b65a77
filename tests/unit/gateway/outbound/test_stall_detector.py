from __future__ import annotations

from tests.clock import Clock
from whatsapp_gateway.outbound.stall_detector import BEAT_SECONDS, STOPPED_SECONDS, StallDetector


def test_a_process_that_runs_was_never_stopped() -> None:
    clock = Clock(100.0)
    stall_detector = StallDetector(clock)
    for _ in range(9):
        clock.now += BEAT_SECONDS
        assert not stall_detector.stopped_since(100.0)


def test_who_asks_first_after_waking_is_told() -> None:
    clock = Clock(100.0)
    stall_detector = StallDetector(clock)
    clock.now += STOPPED_SECONDS + 1
    assert stall_detector.stopped_since(100.0)
    clock.now += BEAT_SECONDS
    assert stall_detector.stopped_since(100.0)  # and every other stream of that time


def test_what_began_after_waking_is_not_concerned() -> None:
    clock = Clock(100.0)
    stall_detector = StallDetector(clock)
    clock.now += STOPPED_SECONDS + 1
    assert stall_detector.stopped_since(100.0)
    assert not stall_detector.stopped_since(clock.now)
