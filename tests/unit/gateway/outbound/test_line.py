from __future__ import annotations

from tests.unit.gateway.outbound.test_stall_detector import Clock
from whatsapp_gateway.outbound.line import Line
from whatsapp_gateway.outbound.stall_detector import BEAT_SECONDS, STOPPED_SECONDS, StallDetector


def test_a_line_holds_until_it_ends() -> None:
    clock = Clock()
    line = Line(StallDetector(clock), clock)
    for _ in range(99):
        clock.now += BEAT_SECONDS
        assert line.holds()
    line.end()
    assert not line.holds()


def test_a_line_from_before_the_process_was_stopped_never_holds_again_and_a_new_one_does() -> None:
    clock = Clock()
    pulse = StallDetector(clock)
    before = Line(pulse, clock)
    clock.now += STOPPED_SECONDS + 1
    assert not before.holds()
    after = Line(pulse, clock)
    clock.now += BEAT_SECONDS
    assert (before.holds(), after.holds()) == (False, True)
