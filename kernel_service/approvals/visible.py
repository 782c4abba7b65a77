"""Text from others in a form that a person can see: nothing hides in it, moves the text next to it, or floods it.

A character is replaced by its name, as in ⟨U+202E⟩, if it is invisible or changes how the rest is shown (such as text
from right to left). Long repetitions are counted: ⟨space×400⟩. Everything else stays as it is.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from typing import TYPE_CHECKING, Final

from kernel_service.approvals.unseen import BLANK, is_selector

if TYPE_CHECKING:
    from collections.abc import Iterator

_FENCE: Final = "```"
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS: Final = "\u200c\u200d"
"""Many scripts and emoji need them. Between other characters they are only invisible."""
_UNJOINED: Final = frozenset(
    {"ARMENIAN", "CHEROKEE", "CJK", "COPTIC", "CYRILLIC", "GEORGIAN", "GREEK", "HANGUL", "HEBREW", "HIRAGANA"}
    | {"KATAKANA", "LATIN", "LISU"}
)
"""Scripts whose letters need no joiners."""
_WORD: Final = re.compile(r"\w+")
_LIKE_LATIN: Final = frozenset({"ARMENIAN", "CHEROKEE", "COPTIC", "CYRILLIC", "GREEK", "LISU"})
"""Scripts with letters that look like Latin ones."""
_WITH_VARIANTS: Final = ("CJK ", "MANICHAEAN ", "MONGOLIAN ", "MYANMAR ", "PHAGS-PA ")
"""Scripts of letters that have variants (unicode.org/Public/UCD/latest/ucd/StandardizedVariants.txt)."""
_KEYCAP: Final = "\u20e3"
_MOST_SPACES: Final = 8
_MOST_MARKS: Final = 3
_MOST_EMPTY: Final = 2


def units(text: str) -> int:
    """Its length as WhatsApp counts it: in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def visible(line: str) -> str:
    """The line with every character visible, and without the end of a block of code."""
    if not (line.isascii() and line.isprintable() and " " * _MOST_SPACES not in line):
        line = "".join(_shown(kind, "".join(char for _, char in run)) for kind, run in groupby(_kinds(line), _kind))
    return line.replace(_FENCE, "'''")


def visible_lines(text: str) -> list[str]:
    """At least one line."""
    lines: list[str] = []
    for is_empty, run in groupby(text.splitlines() or [""], lambda line: not line.strip()):
        several = [visible(line) for line in run]
        if is_empty and len(several) > _MOST_EMPTY:
            several = [f"⟨empty line×{len(several)}⟩"]
        lines += several
    return lines


def _kind(kind_and_char: tuple[str, str]) -> str:
    return kind_and_char[0]


def _kinds(line: str) -> Iterator[tuple[str, str]]:
    """Each character, and its kind: `space`, `mark`, plain (empty), or the text that replaces it."""
    for place, char in enumerate(line):
        before, after = line[place - 1 : place], line[place + 1 : place + 2]
        category = unicodedata.category(char)
        if category == "Zs" or char == "\t":
            yield "space", char
        elif _hides(char, category, before, after):
            yield f"U+{ord(char):04X}", char
        else:
            yield "mark" if category[0] == "M" else "", char


def _hides(char: str, category: str, before: str, after: str) -> bool:
    if char in _JOINERS:
        return not (before and after) or _needs_no_joiner(before) or _needs_no_joiner(after)
    if is_selector(char):
        return not (_has_variants(before) or (before.isascii() and after == _KEYCAP))
    return category in _UNSEEN or char in BLANK


def _needs_no_joiner(char: str) -> bool:
    return char.isascii() or char in _JOINERS or _script(char) in _UNJOINED


def _script(char: str) -> str:
    """The first word of the character's name, as `CYRILLIC`."""
    return unicodedata.name(char, "").partition(" ")[0]


def _has_variants(char: str) -> bool:
    """Emoji, other symbols, and the letters of a few scripts."""
    if char.isascii() or is_selector(char):
        return False
    return not char.isalpha() or unicodedata.name(char, "").startswith(_WITH_VARIANTS)


def _shown(kind: str, run: str) -> str:
    if kind == "space":
        return " " * len(run) if len(run) < _MOST_SPACES else f"⟨space×{len(run)}⟩"
    if kind == "mark":
        return run if len(run) <= _MOST_MARKS else f"{run[:_MOST_MARKS]}⟨mark×{len(run) - _MOST_MARKS}⟩"
    if kind:
        return f"⟨{kind}⟩" if len(run) == 1 else f"⟨{kind}×{len(run)}⟩"
    return run


def mixed_words(text: str) -> list[str]:
    """Words of Latin letters and of others that look like them."""
    return [word for word in _WORD.findall(text) if not word.isascii() and _is_mixed(word)]


def _is_mixed(word: str) -> bool:
    scripts = {_script(char) for char in word if char.isalpha()}
    return "LATIN" in scripts and not scripts.isdisjoint(_LIKE_LATIN)


def head(text: str, most: int) -> str:
    """At most the first `most` characters, none of them without its marks."""
    end = min(most, len(text))
    while 0 < end < len(text) and _belongs_to_previous(text, end):
        end -= 1
    return text[:end]


def tail(text: str, most: int) -> str:
    """At most the last `most` characters."""
    start = max(0, len(text) - most)
    while 0 < start < len(text) and _belongs_to_previous(text, start):
        start += 1
    return text[start:]


def _belongs_to_previous(text: str, place: int) -> bool:
    return text[place] in _JOINERS or text[place - 1] in _JOINERS or unicodedata.category(text[place])[0] == "M"
