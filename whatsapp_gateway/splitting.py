"""Blocks of text into messages of a limited length, always in the same way."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from whatsapp_gateway.markup import Block

SPLIT_VERSION: Final = "2"
"""Names this rule and that of rendering.py. To be raised with any change of what they make: a reply that was
sent in part under one rule cannot be continued by another."""

GAP: Final = "\n\n"
_FENCE: Final = len(Block("", code=True).shown())
_BREAKS: Final = (re.compile(r"\n"), re.compile(r"(?<=[.!?…。])\s+"), re.compile(r"\s+"))
_JOINERS: Final = "\u200d\ufe0f"


def pack(blocks: Sequence[Block], limit: int) -> list[str]:
    """The blocks in as few messages as their order allows, each of 1 to limit characters."""
    messages: list[str] = []
    for piece in pieces(blocks, limit):
        if messages and len(messages[-1]) + len(GAP) + len(piece.shown()) <= limit:
            messages[-1] += GAP + piece.shown()
        else:
            messages.append(piece.shown())
    return messages


def with_tail(blocks: Sequence[Block], limit: int, tail_limit: int) -> tuple[list[str], str]:
    """All but the last as pack() does; the last as long as tail_limit allows, empty if there is no text."""
    rest = list(blocks)
    tail = ""
    while rest and len(longer := GAP.join(filter(None, (rest[-1].shown(), tail)))) <= tail_limit:
        tail = longer
        rest.pop()
    if rest and not tail:
        block = rest.pop()
        last = pieces([block], tail_limit)[-1]
        rest.append(Block(block.text.removesuffix(last.text).rstrip(), block.code))
        tail = last.shown()
    return pack(rest, limit), tail


def pieces(blocks: Sequence[Block], limit: int) -> list[Block]:
    """The blocks, those that are too long cut into several; code stays code in each."""
    return [
        Block(text, block.code)
        for block in blocks
        for text in _cut(block.text, limit - (_FENCE if block.code else 0))
        if text.strip()
    ]


def _cut(text: str, limit: int) -> list[str]:
    parts = []
    while len(text) > limit:
        end, start = _best_cut(text, limit)
        parts.append(text[:end])
        text = text[start:]
    return [*parts, text]


def _best_cut(text: str, limit: int) -> tuple[int, int]:
    """Where a part ends and the next one begins: at a line's end, else a sentence's, a word's, anywhere."""
    for pattern in _BREAKS:
        breaks = [match for match in pattern.finditer(text, 0, limit + 1) if 0 < match.start() <= limit]
        if breaks and breaks[-1].start() > limit // 4:
            return breaks[-1].span()
    end = limit
    while end > 1 and _belongs_to_previous(text[end - 1], text[end]):
        end -= 1
    return end, end


def _belongs_to_previous(previous: str, char: str) -> bool:
    return char in _JOINERS or previous == "\u200d" or bool(unicodedata.combining(char))
