"""Characters that show nothing by themselves, although they count as letters, marks or symbols.

They are those of Unicode's Default_Ignorable_Code_Point outside of the categories for invisible characters, and blanks
that fonts leave empty.
"""

from __future__ import annotations

from typing import Final

BLANK: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U00013441\U00013442\U00016fe4\U0001bc9d\U0001d159"
)
_SELECTORS: Final = ((0x180B, 0x180D), (0x180F, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))


def is_selector(char: str) -> bool:
    """Whether it only selects a variant of the character before it. Any number may follow any character."""
    return any(first <= ord(char) <= last for first, last in _SELECTORS)
