"""Backslashes: which of them escape a mark, and which are text."""

import re
from typing import Final

_ALWAYS: Final = frozenset("*_~`#$")
_AT_LINE_START: Final = frozenset("#>-+")
_BEHIND_A_NUMBER: Final = frozenset(".)")
_ESCAPABLE: Final = _ALWAYS | _AT_LINE_START | _BEHIND_A_NUMBER
_WORD: Final = re.compile(r"\S+")
_ESCAPES: Final = re.compile(r"\\(.?)")
_NUMBERED: Final = re.compile(r"[0-9]{1,9}\\[.)]")
_DRIVE: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]:\\|\\\\")
_PATH: Final = re.compile(r"(?:~|\.{1,2})?/\w|\.{1,2}\\|%\w+%\\|.*(?<![A-Za-z0-9])[A-Za-z]:\\")
_PATTERN: Final = re.compile(r"\^\\|(?:.*[^\\])?(?:\.[*+]|\[\^|\(\?)|.*[^\\]\$\Z")
_LOOK_BACK: Final = 512


class Backslashes:
    r"""Distinguishes backslashes in paths, regular expressions, LaTeX and JSON from escapes, word by word.

    CommonMark treats each backslash before punctuation as an escape, and would change `C:\new\_x` and `\d+\.\d*`.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._word = (0, 0)
        self._is_code = False

    def escaped(self, at: int) -> str:
        """The character that the backslash here escapes; empty: it is text."""
        char = self._text[at + 1 : at + 2]
        if char not in _ESCAPABLE or self._in_code(at):
            return ""
        before = self._text[self._text.rfind("\n", 0, at) + 1 : at].strip() if char not in _ALWAYS else ""
        begins = (char in _AT_LINE_START and not before) or (char in _BEHIND_A_NUMBER and before.isdecimal())
        return char if char in _ALWAYS or begins else ""

    def _in_code(self, at: int) -> bool:
        if not self._word[0] <= at < self._word[1]:
            start = at
            while start > self._word[1] and not self._text[start - 1].isspace():
                start -= 1
            found = _WORD.match(self._text, at)
            self._word = (start, found.end() if found else at + 1)
            self._is_code = self._looks_like_code(*self._word)
        return self._is_code

    def _looks_like_code(self, start: int, end: int) -> bool:
        word = self._text[start:end]
        escapes = _ESCAPES.findall(word)
        if not _ESCAPABLE.issuperset(escapes):
            return True
        if _BEHIND_A_NUMBER.intersection(escapes) and not _NUMBERED.match(word):
            return True
        if _PATH.match(word) or _PATTERN.match(word):
            return True
        # The rest of a path that contains spaces.
        line = self._text.rfind("\n", 0, start) + 1
        begins_with_word = word[0] not in "\\*_~`"
        return begins_with_word and _DRIVE.search(self._text, max(line, start - _LOOK_BACK), start) is not None
