"""The data of an event, bounded for the model: who, what and when fit, and a long text is cut.

An event may hold a whole mail with its source. Any author may have written it, so any size is possible.
"""

from __future__ import annotations

from typing import Any, Final

from kernel_service.storable import storable, storable_text, to_json
from kernel_service.token_counts import cut, tokens

MOST_TOKENS: Final = 1000
"""Tokens of one event."""
MOST_DEPTH: Final = 5
_STEPS: Final = ((200, 500), (200, 100), (60, 100), (30, 60), (8, 40))
"""The most values of an event, and the most tokens of each text in it: the first pair that is enough."""
_CUT: Final = " [… {count} characters left out …] "
_ESCAPED: Final = 2
"""How many characters JSON may make of one, in a text that holds JSON."""


def bounded(data: Any) -> Any:
    """The data as JSON of at most MOST_TOKENS. Short values stay; long ones are cut, and the last ones left out."""
    written = ""
    for values, share in _STEPS:
        [kept] = storable([_Pruned(values, share).value(data, MOST_DEPTH)])
        written = to_json(kept).decode()
        if tokens(written) <= MOST_TOKENS:
            return kept
    return cut(written, MOST_TOKENS // _ESCAPED, _CUT)


class _Pruned:
    """Keeps the first values of a structure, with their texts cut."""

    def __init__(self, values: int, share: int) -> None:
        self._left = values
        self._share = share

    def value(self, given: Any, depth: int) -> Any:
        self._left -= 1
        if isinstance(given, str):
            return cut(storable_text(given), self._share, _CUT)
        if isinstance(given, dict | list) and not depth:
            return "…"
        if isinstance(given, dict):
            pairs = list(given.items())[: max(0, self._left)]
            kept = {cut(storable_text(str(name)), self._share, "…"): inner for name, inner in pairs}
            return {name: self.value(inner, depth - 1) for name, inner in kept.items() if self._left > 0}
        if isinstance(given, list):
            return [self.value(inner, depth - 1) for inner in given[: max(0, self._left)] if self._left > 0]
        return given
