"""The data of an event, bounded for the model: who, what and when fit, and a long text is cut.

An event may hold a whole mail with its source. Any author may have written it, so its size is theirs to choose, too.
"""

from __future__ import annotations

from typing import Any, Final

from kernel_service.storable import storable, storable_text, to_json
from kernel_service.token_counts import cut, tokens

MOST_TOKENS: Final = 1000
"""Of one event."""
MOST_TEXT_TOKENS: Final = 500
"""Of one text in it."""
MOST_FIELDS: Final = 40
"""Of an object, and of a list."""
MOST_DEPTH: Final = 5
_CUT: Final = " [… {count} characters left out …] "


def bounded(data: Any) -> Any:
    """The data as JSON of at most MOST_TOKENS. Short values stay; the longest are cut, and left out at last."""
    share = MOST_TEXT_TOKENS
    [kept] = storable([_kept(data, share, MOST_DEPTH)])
    while tokens(to_json(kept).decode()) > MOST_TOKENS and share > 1:
        share //= 2
        [kept] = storable([_kept(data, share, MOST_DEPTH)])
    if tokens(to_json(kept).decode()) > MOST_TOKENS:
        return cut(to_json(kept).decode(), MOST_TOKENS - 20, _CUT)
    return kept


def _kept(value: Any, share: int, depth: int) -> Any:
    """`share`: the most tokens of a text."""
    if isinstance(value, str):
        return cut(storable_text(value), share, _CUT)
    if isinstance(value, dict):
        if not depth:
            return "…"
        pairs = list(value.items())[:MOST_FIELDS]
        return {cut(storable_text(str(name)), share, "…"): _kept(inner, share, depth - 1) for name, inner in pairs}
    if isinstance(value, list):
        return [_kept(inner, share, depth - 1) for inner in value[:MOST_FIELDS]] if depth else "…"
    return value
