"""In which order a sweep comes to what it has to do: what cannot be done keeps nothing else from its turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

AT_ONCE: Final = 200
"""How many one sweep looks at."""
PUT_OFF_SECONDS: Final = 3600.0
"""For how long one is left alone that could not be done."""


class SweepCursor:
    """Goes through ids in their order, a page in each sweep, and begins anew behind the last of them.

    It is kept in memory alone: a process that starts begins anew.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.after = ""
        """The last that was looked at, also by a sweep that broke off at it."""
        self._clock = clock
        self._put_off: dict[str, float] = {}

    def turns(self, page: Sequence[str]) -> Iterator[str]:
        """Those of the page, read from behind `after` on, AT_ONCE at most, that are not put off."""
        now = self._clock()
        self._put_off = {each: until for each, until in self._put_off.items() if until > now}
        for each in page:
            self.after = each
            if each not in self._put_off:
                yield each
        if len(page) < AT_ONCE:
            self.after = ""

    def put_off(self, each: str) -> None:
        self._put_off[each] = self._clock() + PUT_OFF_SECONDS
