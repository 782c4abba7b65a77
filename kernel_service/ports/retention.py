"""How long what people said is kept, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """0 keeps for good, or as much as there is. `history_bytes` are of each person, sealed.

    People of whom nothing came for `inactive_days` are forgotten: whole, where nothing hangs on them, else what they
    said.
    """

    history_days: int = 0
    history_bytes: int = 0
    inactive_days: int = 0

    def __bool__(self) -> bool:
        return bool(self.history_days or self.history_bytes or self.inactive_days)


class RetentionStore(Protocol):
    async def forget_old(self, *, now: float) -> int:
        """Delete what has been kept long enough, in small steps; how many rows."""
        ...
