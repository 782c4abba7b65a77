"""The people whom this process has asked to write, in bounded memory: for kernel services that do not count."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

REPEAT_SECONDS: Final = 24 * 3600.0
MOST_REMEMBERED: Final = 100_000

Pair = tuple[str, str]
"""A number of ours, and an id of a person."""


class AskedPeople:
    """now is a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._asked_at: OrderedDict[Pair, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._asked_at)

    def asked_lately(self, pairs: Sequence[Pair]) -> bool:
        """Whether a person was asked under any of these ids; otherwise they count as asked now."""
        now = self._now()
        asked_at = max((self._asked_at[pair] for pair in pairs if pair in self._asked_at), default=now - REPEAT_SECONDS)
        lately = now - asked_at < REPEAT_SECONDS
        self._remember(pairs, asked_at if lately else now)
        return lately

    def _remember(self, pairs: Sequence[Pair], at: float) -> None:
        for pair in pairs:
            self._asked_at[pair] = at
            self._asked_at.move_to_end(pair)
        while (
            len(self._asked_at) > MOST_REMEMBERED or self._now() - next(iter(self._asked_at.values())) >= REPEAT_SECONDS
        ):
            self._asked_at.popitem(last=False)
