"""Reports the progress of a turn to the rest of the process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.progress import Event, Progress
    from kernel_service.ports.turns import Turn
    from kernel_service.ports.typing import TypingStatus
    from kernel_service.turns.counters import TurnCounters
    from kernel_service.turns.execution.attempt_record import AttemptRecord


@dataclass(slots=True)
class TurnReports:
    """Of one turn: to watchers of its messages, waiters for its end, and the metrics."""

    turn: Turn
    progress: Progress
    typing: TypingStatus
    counters: TurnCounters
    on_end: Callable[[Turn], None]
    record: AttemptRecord

    def happened(self, event: Event) -> None:
        self.progress.tell(self.turn, event)

    def work_begins(self) -> None:
        """A person may expect an answer from this attempt."""
        self.typing.begin(self.turn)

    def work_ends(self) -> None:
        self.typing.end(self.turn)

    def count(self, outcome: str, detail: str = "", problem: str = "") -> None:
        """`detail`: what the log calls the outcome, if that is more exact. `problem`: why, if something was wrong."""
        self.counters.outcomes[outcome] += 1
        self.record.outcome, self.record.problem = detail or outcome, problem

    def ended(self, outcome: str, detail: str = "", problem: str = "") -> None:
        self.count(outcome, detail, problem)
        self.on_end(self.turn)

    def notice(self, *, busy: bool) -> None:
        """The person is told that the turn waits."""
        self.counters.busy_notices += busy
