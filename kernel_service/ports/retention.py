"""The retention of people's words: how long, and how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """0 means no limit. `history_bytes` limits the sealed history of each person.

    `history_days` counts whole days (UTC), so a history is cut once a day: each cut ends the summaries that stand for
    what it deletes, and the model is shown the rest again.

    A person without a message for `inactive_days` is deleted completely if no other data depends on them. Otherwise
    only their words are deleted.
    """

    history_days: int = 0
    history_bytes: int = 0
    inactive_days: int = 0

    def __bool__(self) -> bool:
        return bool(self.history_days or self.history_bytes or self.inactive_days)


class RetentionStore(Protocol):
    async def forget_old(self, *, now: float) -> int:
        """Delete expired data, in small steps. Returns the number of rows."""
        ...
