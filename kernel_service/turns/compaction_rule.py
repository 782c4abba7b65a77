"""When the conversation is compacted: by the vendor's count of tokens, and by the number of turns.

A request is paid for all that it shows. So the number of turns is bounded too: then a message of a chat of years costs
about as much as one of a chat of fifty turns, whatever the length of the messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

AT_ONCE: Final = 1
"""A number of tokens that each request exceeds."""
LEAST_WORTH: Final = 3000
"""Fewer estimated tokens are not worth a compaction: the instructions and the tools cost as much."""

LEAST_TURNS: Final = 5
"""Between two compactions by our estimate, which counts sealed content as text: a compaction alone may exceed it."""


@dataclass(frozen=True, slots=True)
class CompactionRule:
    """Compact above `tokens`, counted by the vendor, or after `turns`; 0 turns: whatever their number."""

    tokens: int = 60_000
    turns: int = 50

    def compact_at(self, *, tokens: int, turns: int, limit: int) -> int:
        """The number of tokens above which the vendor compacts the next request.

        `tokens` (estimated) and `turns` are shown in it; `limit` are the most tokens that the model is shown.
        """
        due = self._is_due(tokens, turns, limit)
        return AT_ONCE if due else self.tokens

    def is_due(self, *, tokens: int, turns: int, limit: int) -> bool:
        """Whether to summarise the conversation now, without the vendor's count."""
        return tokens > self.tokens or self._is_due(tokens, turns, limit)

    def _is_due(self, tokens: int, turns: int, limit: int) -> bool:
        """Whether to compact now: also before the limit, since what is left out beyond it is forgotten."""
        is_nearly_full = tokens > limit * 3 // 4 and turns >= LEAST_TURNS
        return is_nearly_full or (0 < self.turns <= turns and tokens >= LEAST_WORTH)
