"""The outline of a history: one letter per item. Facts about the whole history are read from it without its items.

| letter | item |
|---|---|
| `i`, `b`, `f`, `I` | input: the person's own text, a button that they tapped, facts about them, text of any author |
| `r`, `R` | result: the assistant's own text, text of any author |
| `o` | output |
| `s` | reasoning: opaque, except to the model that made it |
| `c`, `C` | compaction by the vendor: of own text, of text of any author |
| `m`, `M` | our summary: of own text, of text of any author |
| `-` | an item that the model is not shown, such as a link, a file, a confirmation or an approval prompt |
| `x` | text of any author that the model is no longer shown |
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from kernel_service.ports.turns import BUTTON, COMPACTION, FACTS, OUTSIDE, OWN, REASONING, SUMMARY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_service.ports.turns import HistoryItem

INPUTS: Final = b"ibfI"
FROM_OUTSIDE: Final = b"IRCMx"
RESULTS: Final = b"rR"
SEALED_ITEMS: Final = b"scC"
TAPPED: Final = ord("b")
SHOWS_FACTS: Final = ord("f")
NO_WORDS: Final = bytes((TAPPED, SHOWS_FACTS))
"""Inputs without any text of the person."""
HIDDEN: Final = b"-x"
_HIDDEN: Final = ord("-")
_HIDDEN_OUTSIDE: Final = ord("x")
_OUTPUT: Final = ord("o")
THOUGHT: Final = ord("s")
_TURN: Final = re.compile(rb"[%b]+" % INPUTS)

_ITEMS: Final = {
    ord("i"): ("input", OWN),
    TAPPED: ("input", BUTTON),
    SHOWS_FACTS: ("input", FACTS),
    ord("I"): ("input", OUTSIDE),
    ord("r"): ("result", OWN),
    ord("R"): ("result", OUTSIDE),
    _OUTPUT: ("output", ""),
    THOUGHT: (REASONING, ""),
    ord("c"): (COMPACTION, OWN),
    ord("C"): (COMPACTION, OUTSIDE),
    ord("m"): (SUMMARY, OWN),
    ord("M"): (SUMMARY, OUTSIDE),
}
_LETTERS: Final = {item: letter for letter, item in _ITEMS.items()}


def outline_of(items: Iterable[HistoryItem]) -> bytes:
    return bytes(letter_of(item.kind, item.origin) for item in items)


@lru_cache(maxsize=1000)
def letter_of(kind: str, origin: str) -> int:
    if kind == "output":
        return _OUTPUT
    if kind == REASONING:
        return THOUGHT
    if kind == COMPACTION:
        return _LETTERS[kind, OUTSIDE if OUTSIDE in origin.split(":") else OWN]
    return _LETTERS.get((kind, _mark(origin)), _HIDDEN)


def hidden(letter: int) -> int:
    """The letter of an item that the model is no longer shown.

    Its text may be repeated in items that the model is shown.
    """
    return _HIDDEN_OUTSIDE if letter in FROM_OUTSIDE else _HIDDEN


def holds_any(outline: bytes, letters: bytes) -> bool:
    """Whether one of these letters is in the outline."""
    return len(outline.translate(None, letters)) < len(outline)


def turns_in(outline: bytes) -> int:
    """The number of turns that begin in the outline."""
    return len(_TURN.findall(outline))


def kind_of(letter: int) -> tuple[str, str]:
    """The kind and the origin of a shown item. The origin of an output is not kept."""
    return _ITEMS[letter]


def begins(outline: bytes, place: int) -> bool:
    """Whether this item is the first message of the person in a turn: an input after an item of another kind."""
    return outline[place] in INPUTS and (place == 0 or outline[place - 1] not in INPUTS)


def _mark(origin: str) -> str:
    """The author of an input or a result. A merge of people adds a prefix; an item without a mark is from outside."""
    if origin.rpartition(":")[2] != OWN:
        return OUTSIDE
    if origin == FACTS:  # those of a merged person are none of this person's memory
        return FACTS
    return BUTTON if origin.endswith(BUTTON) else OWN
