from __future__ import annotations

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
