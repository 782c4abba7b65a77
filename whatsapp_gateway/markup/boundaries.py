"""Decides by the two adjacent characters whether a mark may begin or end emphasis.

CommonMark's flanking rules fail next to CJK punctuation, and interpret `a*b*c` as emphasis. WhatsApp shows emphasis
only at word boundaries. So a mark inside a word, a sum, a path or a code is text. In a script without spaces, every
mark is at a boundary.
"""

import unicodedata
from enum import Enum, auto
from functools import lru_cache
from typing import Final


class Kind(Enum):
    """The kinds of characters next to a mark."""

    SPACE = auto()
    WORD = auto()
    """A letter or digit of a script with spaces."""
    WIDE = auto()
    """A letter of a script without spaces, or with particles: Han, Kana, Hangul, Thai, Khmer."""
    APART = auto()
    """Never part of a word or a code: emoji, CJK punctuation."""
    OPENING = auto()
    CLOSING = auto()
    BOTH = auto()
    OTHER = auto()
    """Characters of sums, paths and codes: / \\ @ # = + & % $ ^"""


_OPENING: Final = frozenset("([{<„‚¿¡")
_CLOSING: Final = frozenset(")]}>.,;:!?…")
_BOTH: Final = frozenset("\"'—–|*_~`“”‘’«»‹›")
"""Including quotes: „German“, »German«, ”Swedish”, “English”, «French»."""
QUOTES: Final = frozenset("\"'“”„‘’‚«»‹›「」『』《》")
_JOINERS: Final = frozenset("\u200d\ufe0f\u20e3")
_UNSPACED: Final = ((0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1100, 0x11FF), (0x1780, 0x17FF), (0xFF66, 0xFFDC))
"""Thai, Lao, Tibetan; Burmese; Hangul jamo; Khmer; halfwidth Kana and Hangul. Unicode marks wide characters."""


@lru_cache(maxsize=4096)
def kind_of(char: str) -> Kind:
    """The kind of one character; empty: the start or end of the text."""
    if not char or char.isspace():
        return Kind.SPACE
    for kind, chars in ((Kind.OPENING, _OPENING), (Kind.CLOSING, _CLOSING), (Kind.BOTH, _BOTH)):
        if char in chars:
            return kind
    category = unicodedata.category(char)
    wide = unicodedata.east_asian_width(char) in "WF" or any(a <= ord(char) <= b for a, b in _UNSPACED)
    if category[0] in "LNM" and char not in _JOINERS:
        return Kind.WIDE if wide else Kind.WORD
    return Kind.APART if wide or category == "So" or char in _JOINERS or ord(char) > 0x2190 else Kind.OTHER  # noqa: PLR2004


def can_open(run: str, before: str, after: str) -> bool:
    """Whether a run of one mark between these two characters may begin emphasis."""
    left, right = kind_of(before), kind_of(after)
    double = _is_double(run)
    if run == "~" and after.isdigit():  # `~5` means about five
        return False
    if right in (Kind.SPACE, Kind.CLOSING) or (right is Kind.OTHER and not double):
        return False
    if left in (Kind.SPACE, Kind.APART, Kind.OPENING, Kind.BOTH):
        return True
    if not double:
        return False
    return Kind.WIDE in (left, right) or (left is not Kind.WORD and right is Kind.WORD)


def can_close(run: str, before: str, after: str, beyond: str) -> bool:
    """Whether it may end emphasis. beyond is the character next to `after`."""
    left, right = kind_of(before), kind_of(after)
    if left in (Kind.SPACE, Kind.OPENING):
        return False
    if right in (Kind.SPACE, Kind.APART, Kind.BOTH):
        return True
    double = _is_double(run)
    if right is Kind.CLOSING or after == "-":
        # `__init__.py`, `_a_:8080`: a code continues.
        return double or after not in ".:" or kind_of(beyond) is not Kind.WORD
    return double and (Kind.WIDE in (left, right) or (right is not Kind.WORD and left is Kind.WORD))


def opens_behind(char: str) -> bool:
    """Whether all of WhatsApp's apps accept a mark after this character as the beginning of emphasis."""
    return kind_of(char) in (Kind.SPACE, Kind.BOTH, Kind.OPENING)


def closes_before(char: str) -> bool:
    """Whether all of them accept a mark before this character as its end."""
    return kind_of(char) not in (Kind.WORD, Kind.WIDE, Kind.APART)


def _is_double(run: str) -> bool:
    """`**` and `~~` are hardly ever meant as text; `*` and `_` occur in sums and names."""
    return run[0] != "_" and len(run) > 1
