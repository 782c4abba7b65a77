"""Measures and cuts text by visible characters: a character of several code points is never split.

Meta counts "characters" without a definition. UTF-16 code units are the strictest reading: an emoji counts as two.
"""

from typing import Final

import regex

_CLUSTER: Final = regex.compile(r"\X")
_VISIBLE: Final = regex.compile(r"[^\s\p{Default_Ignorable_Code_Point}\p{Cc}\u2800]")
_LAST_OF_ONE_UNIT: Final = "\uffff"


def units(text: str) -> int:
    """The length in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def is_visible(text: str) -> bool:
    """Whether a reader sees anything: joiners, soft hyphens, variation selectors and blank letters are invisible."""
    return _VISIBLE.search(text) is not None


def reach(text: str, start: int, limit: int) -> int:
    """The index that `limit` units from start reach."""
    window = text[start : start + limit]
    surplus = units(window) - limit
    end = len(window)
    while surplus > 0:
        end -= 1
        surplus -= 1 + (window[end] > _LAST_OF_ONE_UNIT)
    return start + end


def last_bound(text: str, start: int, end: int) -> int:
    """The last end of a whole character in this range; end, if not even one fits. A character begins at start."""
    room, bound = end - start, 0
    # One character more than there is room for shows whether the last one is whole. The slice limits the pattern's
    # work: for each flag it counts the flags before it, back to the start of its input.
    for cluster in _CLUSTER.finditer(text[start : end + 1]):
        if cluster.end() > room:
            break
        bound = cluster.end()
    return start + (bound or room)


def shortened(text: str, limit: int) -> str:
    """At most `limit` units, with an ellipsis if text is omitted."""
    if units(text) <= limit:
        return text
    end = reach(text, 0, limit - 1)
    return text[: last_bound(text, 0, end)].rstrip() + "…"
