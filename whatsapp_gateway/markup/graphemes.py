"""Text measured and cut as people see it: a character that is made of several is never torn.

Meta counts "characters" and does not say which. UTF-16 code units are the strictest reading: an emoji counts two.
"""

from typing import Final

import regex

_CLUSTER: Final = regex.compile(r"\X")
_VISIBLE: Final = regex.compile(r"[^\s\p{Default_Ignorable_Code_Point}\p{Cc}\u2800]")
_LAST_OF_ONE_UNIT: Final = "\uffff"


def units(text: str) -> int:
    """The length in UTF-16 code units."""
    return len(text) if text.isascii() else len(text) + sum(char > _LAST_OF_ONE_UNIT for char in text)


def is_visible(text: str) -> bool:
    """Whether a reader sees anything: joiners, soft hyphens, variation selectors and blank letters are nothing."""
    return _VISIBLE.search(text) is not None


def reach(text: str, start: int, limit: int) -> int:
    """How far from start so many units go: an index."""
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
    # One more than there is room for shows whether the last one is whole. A slice, for each flag makes the pattern
    # count the flags in front of it: back to the start of all that it is given.
    for cluster in _CLUSTER.finditer(text[start : end + 1]):
        if cluster.end() > room:
            break
        bound = cluster.end()
    return start + (bound or room)


def shortened(text: str, limit: int) -> str:
    """At most so many units, with an ellipsis if something is left out."""
    if units(text) <= limit:
        return text
    end = reach(text, 0, limit - 1)
    return text[: last_bound(text, 0, end)].rstrip() + "…"
