"""Missing heartbeats, by an injected clock."""

from __future__ import annotations

from serving.beats import Beats


def looked_at(beats: Beats, *, since: int, until: int, beating: bool) -> list[int]:
    """The seconds at which beats were missing."""
    missing = []
    for now in range(since, until):
        if beating:
            beats.beat(now)
        if beats.missing(now):
            missing.append(now)
    return missing


def test_a_regular_heartbeat_is_never_missing() -> None:
    assert looked_at(Beats(10, 0), since=1, until=1000, beating=True) == []


def test_a_stopped_heartbeat_is_missing_after_the_limit() -> None:
    beats = Beats(10, 0)
    looked_at(beats, since=1, until=100, beating=True)
    assert looked_at(beats, since=100, until=115, beating=False)[0] == 110


def test_a_heartbeat_that_resumes_in_time_is_not_missing() -> None:
    beats = Beats(10, 0)
    for start in range(0, 100, 10):
        assert looked_at(beats, since=start, until=start + 9, beating=False) == []
        beats.beat(start + 9)


def test_a_watcher_that_was_stopped_itself_starts_the_period_again() -> None:
    beats = Beats(10, 0)
    looked_at(beats, since=1, until=100, beating=True)
    assert not beats.missing(1000)  # the whole process was stopped for a quarter of an hour
    assert looked_at(beats, since=1001, until=1015, beating=False)[0] == 1011


def test_repeated_stops_of_the_watcher_are_not_a_hang() -> None:
    beats = Beats(10, 0)
    assert not any(beats.missing(now) for now in range(0, 1000, 9))


def test_a_slightly_late_check_still_finds_a_missing_heartbeat() -> None:
    beats = Beats(10, 0)
    assert [now for now in range(0, 20, 2) if beats.missing(now)] == [12, 14, 16, 18]
