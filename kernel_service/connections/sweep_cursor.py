"""The position of a sweep that works in pages: an item that fails is deferred, and does not block the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PAGE_SIZE: Final = 200
"""Items per sweep."""
DEFER_SECONDS: Final = 3600.0
"""How long an item that failed is skipped."""


class SweepCursor:
    """Goes through ids in order, one page per sweep, and starts over after the last one. It lives in memory only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.after = ""
        """The last id that a sweep reached, even if it failed there."""
        self._clock = clock
        self._deferred_until: dict[str, float] = {}

    def eligible(self, page: Sequence[str]) -> Iterator[str]:
        """The ids of the page that are not deferred. The page was read from behind `after`, PAGE_SIZE ids at most."""
        now = self._clock()
        self._deferred_until = {each: until for each, until in self._deferred_until.items() if until > now}
        for each in page:
            self.after = each
            if each not in self._deferred_until:
                yield each
        if len(page) < PAGE_SIZE:
            self.after = ""

    def defer(self, each: str) -> None:
        self._deferred_until[each] = self._clock() + DEFER_SECONDS
