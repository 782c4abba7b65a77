"""Connect codes as people write them: in a sentence of any script, in lower case, with any dash."""

from __future__ import annotations

import re
from typing import Final

from kernel_service.inbox.phrases import plain

CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that few words look like a code."""
MOST_CODES: Final = 8
"""A text with more candidates has no code: its sender guesses codes, or it is another kind of text."""

_LETTER = f"[{CODE_LETTERS}]"
_ANY_CASE = f"[{CODE_LETTERS}{CODE_LETTERS.lower()}]"
# As a word, or spelled out letter by letter.
_HALF = rf"(?:{_LETTER}{{4}}|{_LETTER}(?:[\s.,\-]{{1,2}}{_LETTER}){{3}})"
_NO_LETTER = re.compile(r"[^A-Z]")
# The long mark is what a Japanese keyboard types for a dash.
_BETWEEN = r"[\W_ー]{0,8}"
# Letters of other scripts can adjoin a code without a space: `コードはXNDW-HVXBです`.
_LATIN = "[0-9A-ZÀ-ÖØ-öø-ɏḀ-ỿ]"
# A code in capitals ends where lower case begins: `codeXNDW-HVXB`. A link to the chat has `Connect%20XNDW-HVXB`.
_BEGINS = rf"(?:(?<!{_LATIN})|(?<=connect)|(?<=%20)|(?-i:(?<=[a-z])(?=[A-Z])))"
_ENDS = rf"(?:(?!{_LATIN})|(?-i:(?<=[A-Z])(?=[a-z])))"
# Matches may overlap: an abbreviation of four letters may precede the code.
_CODE = re.compile(rf"{_BEGINS}(?=({_HALF})({_BETWEEN})({_HALF}){_ENDS})", re.IGNORECASE)
# Each code contains this, and few other texts do. The search for it is eight times as fast.
_MAYBE = re.compile(rf"{_ANY_CASE}(?:{_ANY_CASE}{{3}}|[\s.,\-]{{1,2}}{_ANY_CASE}[\s.,\-])")
_AS_SHOWN = re.compile(rf"(?:connect\W*)?{_HALF}[-‐‑‒–—−ー]{_HALF}\W*", re.IGNORECASE)
_BESIDE = re.compile(r"\bconnect\b", re.IGNORECASE)


def codes_in(text: str) -> list[str]:
    """The candidates for codes, each once, as `BCDF-GHJK`. Only the store can decide which of them are codes."""
    spoken = plain(text)
    if _MAYBE.search(spoken) is None:
        return []
    found = dict.fromkeys("-".join(map(_bare, match.group(1, 3))) for match in _CODE.finditer(spoken))
    return list(found) if len(found) <= MOST_CODES else []


def is_code_alone(text: str) -> bool:
    """Whether a text with a code contains nothing else."""
    spoken = plain(text)
    match = _CODE.search(spoken)
    if match is None:
        return False
    around = spoken[: match.start(1)] + spoken[match.end(3) :]
    return not any(each.isalnum() for each in _BESIDE.sub("", around))


def is_written_as_shown(text: str) -> bool:
    """Whether a text is a code as the page shows it, in capitals and with its dash, or as its button writes it."""
    spoken = plain(text).strip()
    return _AS_SHOWN.fullmatch(spoken) is not None and (spoken.isupper() or spoken.casefold().startswith("connect"))


def _bare(half: str) -> str:
    return _NO_LETTER.sub("", half.upper())
