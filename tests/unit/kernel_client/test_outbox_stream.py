from __future__ import annotations

from kernel_client.outbox_stream import OutboxStream
from kernel_client.stall_detector import BEAT_SECONDS, STOPPED_SECONDS, StallDetector
from tests.clock import Clock


def test_a_stream_is_live_until_it_ends() -> None:
    clock = Clock(100.0)
    stream = OutboxStream(StallDetector(clock), clock)
    for _ in range(99):
        clock.now += BEAT_SECONDS
        assert stream.is_live()
    stream.end()
    assert not stream.is_live()


def test_a_stream_from_before_a_suspension_is_never_live_again_and_a_new_one_is() -> None:
    clock = Clock(100.0)
    stall_detector = StallDetector(clock)
    before = OutboxStream(stall_detector, clock)
    clock.now += STOPPED_SECONDS + 1
    assert not before.is_live()
    after = OutboxStream(stall_detector, clock)
    clock.now += BEAT_SECONDS
    assert (before.is_live(), after.is_live()) == (False, True)
