"""A clock for tests: it changes only when a test sets it forward."""

from __future__ import annotations


class Clock:
    """`now` is in seconds. Its epoch depends on the test."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
