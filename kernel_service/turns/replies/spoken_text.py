"""The text that a voice says: an answer in CommonMark without its marks, code and addresses."""

from __future__ import annotations

import re
from typing import Final

from kernel_service import texts

MOST_CHARS: Final = 1_500
"""Of one voice message: about a minute and a half."""

_CODE: Final = re.compile(r"^(`{3,}|~{3,}).*?(?:^\1|\Z)", re.DOTALL | re.MULTILINE)
_LINK: Final = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*(?:\s[^)]*)?\)")
_ADDRESS: Final = re.compile(r"<?\b(?:https?|mailto):[^\s>]+>?")
_LINE_START: Final = re.compile(r"^[ \t]*(?:#{1,6}|>|[-*+]|\|)[ \t]+", re.MULTILINE)
_RULE: Final = re.compile(r"^[ \t|:=*_-]{3,}$", re.MULTILINE)
_MARKS: Final = re.compile(r"\*{1,3}|~~|`|(?<!\w)_{1,2}|_{1,2}(?!\w)")
_GAPS: Final = re.compile(r"\n{3,}")
_SENTENCE_END: Final = re.compile(r"[.!?…。！？](?=\s)|\n")


def spoken_text(answer: str) -> str:
    """At most MOST_CHARS, up to the end of a sentence; empty: nothing can be said."""
    text = _CODE.sub("", answer)
    text = _ADDRESS.sub("", _LINK.sub(r"\1", text))
    text = _MARKS.sub("", _LINE_START.sub("", _RULE.sub("", text)))
    text = _GAPS.sub("\n\n", text).strip()
    if len(text) <= MOST_CHARS:
        return text if any(map(str.isalnum, text)) else ""
    return f"{_beginning(text, MOST_CHARS - len(texts.answers.REST_IN_TEXT) - 1)} {texts.answers.REST_IN_TEXT}"


def _beginning(text: str, most: int) -> str:
    ends = [found.end() for found in _SENTENCE_END.finditer(text, 0, most)]
    cut = ends[-1] if ends and ends[-1] > most // 2 else text.rfind(" ", 0, most)
    return text[: cut if cut > 0 else most].rstrip()
