"""Time never runs backwards, and converges to the machine's clock."""

from __future__ import annotations

import logging
import time

import pytest

from kernel_service.clock import MOST_AHEAD_SECONDS, SLOWED, SteadyClock, since_boot

NOON = 1_800_000_000.0
HOUR = 3600.0


class Machine:
    """Its wall clock can be set. Its monotonic clock only advances."""

    def __init__(self) -> None:
        self.wall = NOON
        self.monotonic = 50.0

    def clock(self, newest: float = 0.0) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.monotonic, newest=newest)

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_clock_follows_the_machine(machine: Machine) -> None:
    clock = machine.clock()
    for seconds in (0.0, 0.25, 7.0, 90_000.0):
        machine.run(seconds)
        assert clock() == machine.wall


def test_a_jump_forwards_is_followed_at_once(machine: Machine) -> None:
    clock = machine.clock()
    machine.wall += HOUR
    assert clock() == NOON + HOUR


def test_after_a_jump_back_it_runs_on_more_slowly(machine: Machine) -> None:
    clock = machine.clock()
    machine.wall -= HOUR
    assert clock() == NOON
    machine.run(10.0)
    assert clock() == pytest.approx(NOON + 10 * SLOWED)


def test_after_a_jump_back_the_clock_converges(machine: Machine) -> None:
    clock = machine.clock()
    machine.wall -= HOUR
    before, steps = clock(), 0
    while before > machine.wall:
        machine.run(60.0)
        assert clock() > before
        before, steps = clock(), steps + 1
    assert steps == pytest.approx(HOUR / (1 - SLOWED) / 60, abs=1)
    machine.run(1.0)
    assert clock() == machine.wall


def test_a_jump_back_is_logged_once(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    clock = machine.clock()
    machine.wall -= HOUR
    for _ in range(5):
        machine.run(1.0)
        clock()
    machine.wall -= 0.01  # a usual correction by network time
    clock()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "set back by 3600 s" in caplog.text


def test_clock_starts_at_the_newest_known_time(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    clock = machine.clock(newest=NOON + HOUR)
    assert clock() == NOON + HOUR
    machine.run(10.0)
    assert clock() == pytest.approx(NOON + HOUR + 10 * SLOWED)
    assert len(caplog.records) == 1


def test_newest_time_far_ahead_is_ignored(machine: Machine) -> None:
    assert machine.clock(newest=NOON + 400 * 24 * HOUR)() == NOON + MOST_AHEAD_SECONDS


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system's clock never stops")
def test_time_since_boot_passes_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = {time.CLOCK_MONOTONIC: 10.0, time.CLOCK_BOOTTIME: 70.0}
    monkeypatch.setattr(time, "clock_gettime", slept.__getitem__)
    assert since_boot() == slept[time.CLOCK_BOOTTIME]
