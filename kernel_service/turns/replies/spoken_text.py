"""The text that a voice says: an answer in CommonMark without its marks, code and addresses."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final

from kernel_service import texts

MOST_LETTERS: Final = 1_500
"""Of one voice message: about a minute and a half."""

_CODE: Final = re.compile(r"^(`{3,}|~{3,}).*?(?:^\1|\Z)", re.DOTALL | re.MULTILINE)
_LINK: Final = re.compile(r"!?\[([^\]\n]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s[^)]*)?\)")
_ADDRESS: Final = re.compile(r"[ \t]*<?\b(?:https?|mailto):[^\s>]*[^\s>.,;:!?)]>?")
_LINE_START: Final = re.compile(r"^[ \t]*(?:#{1,6}|>|[-*+])[ \t]+", re.MULTILINE)
_ROW: Final = re.compile(r"^[ \t]*\|(.*?)\|?[ \t]*$", re.MULTILINE)
_RULE: Final = re.compile(r"^[ \t|:=*_-]{3,}$", re.MULTILINE)
_MARKS: Final = re.compile(r"(?<!\*)(?!(?<=\d)\*+\d|(?<=\s)\*+\s)\*+|~~|`|(?<!\w)_{1,2}|_{1,2}(?!\w)")
_GAPS: Final = re.compile(r"\n{3,}")
_SENTENCE_END: Final = re.compile(r"[.!?…؟।](?=\s)|[。！？]|\n")
_SYLLABLE: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""A character of Chinese, Japanese or Korean. It takes about as long as four letters."""


def spoken_text(answer: str) -> str:
    """At most MOST_LETTERS, up to the end of a sentence; empty: nothing can be said."""
    text = _CODE.sub("", answer)
    text = _ADDRESS.sub("", _LINK.sub(r"\1", text))
    text = _ROW.sub(_cells, _RULE.sub("", text))
    text = _MARKS.sub("", _LINE_START.sub("", text))
    text = _GAPS.sub("\n\n", text).strip()
    most = _fitting(text, MOST_LETTERS)
    if most == len(text):
        return text if any(map(str.isalnum, text)) else ""
    most = _fitting(text, MOST_LETTERS - len(texts.answers.REST_IN_TEXT) - 1)
    return f"{_beginning(text, most)} {texts.answers.REST_IN_TEXT}"


def _cells(row: re.Match[str]) -> str:
    return ", ".join(filter(None, map(str.strip, row[1].split("|"))))


def _fitting(text: str, letters: int) -> int:
    """How many characters take no longer to say than that many letters."""
    costs = accumulate(4 if _SYLLABLE.match(each) else 1 for each in text[: letters + 1])
    return sum(cost <= letters for cost in costs)


def _beginning(text: str, most: int) -> str:
    ends = [found.end() for found in _SENTENCE_END.finditer(text, 0, most)]
    cut = ends[-1] if ends and ends[-1] > most // 2 else text.rfind(" ", 0, most)
    return text[: cut if cut > 0 else most].rstrip()
