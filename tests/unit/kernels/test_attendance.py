from __future__ import annotations

from kernel_service.kernels.attendance import BREAK_SECONDS, Attendance


def test_who_pulls_without_a_break_attends() -> None:
    attendance = Attendance()
    for now in (0.0, BREAK_SECONDS, 2 * BREAK_SECONDS):
        attendance.note(["chat"], now)
    assert attendance.for_at_least(60, 60) == ["chat"]
    assert attendance.for_at_least(61, 60) == []


def test_who_was_away_begins_anew() -> None:
    attendance = Attendance()
    attendance.note(["chat"], 0)
    attendance.note(["chat"], BREAK_SECONDS + 1)
    assert attendance.for_at_least(1, BREAK_SECONDS + 1) == []
    assert attendance.for_at_least(0, BREAK_SECONDS + 1) == ["chat"]


def test_who_is_away_does_not_attend() -> None:
    attendance = Attendance()
    attendance.note(["chat"], 0)
    assert attendance.for_at_least(0, BREAK_SECONDS + 1) == []
