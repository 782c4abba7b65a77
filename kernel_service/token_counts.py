"""Estimates the most tokens of a text, and cuts texts to a number of tokens.

There is no tokenizer: its tables belong to the vendor, differ by model, and must be downloaded. Byte-level BPE, which
OpenAI's and most open models use, never makes more tokens than there are UTF-8 bytes. So scripts that are rare in its
tables count one token per byte, and common scripts count by letters. ASCII counts one token for three characters (prose
has four, dense JSON three). The estimate is rather too high, except for long runs of random ASCII (base64 has two).
"""

from __future__ import annotations

from typing import Final

_ASCII_PER_TOKEN: Final = 3
MOST_PER_CHARACTER: Final = 4
"""The most tokens of one character."""

_KINDS: Final = (
    (range(0xC2, 0xE0), b"b", 2, 1.0),
    (range(0xE3, 0xEE), b"c", 3, 1.5),
    ((*range(0xE0, 0xE3), *range(0xEE, 0xF0)), b"d", 3, 3.0),
    (range(0xF0, 0xF5), b"e", 4, 4.0),
)
"""Characters beyond ASCII by their first bytes: a letter for the kind, bytes, tokens. The rows are: Latin with accents,
Greek, Cyrillic, Hebrew, Arabic; Chinese, Japanese, Korean; the other three-byte scripts, many of them rare; emoji and
historic scripts."""
_KIND_OF: Final = bytes(next((ord(kind) for firsts, kind, *_ in _KINDS if byte in firsts), 0) for byte in range(256))


def tokens(text: str) -> int:
    """The estimated most tokens of the text."""
    if text.isascii():
        return -(-len(text) // _ASCII_PER_TOKEN)
    return utf8_tokens(text.encode(errors="replace"))


def utf8_tokens(text: bytes) -> int:
    """The estimated most tokens of a text in UTF-8, such as an encoded history item."""
    if text.isascii():
        return -(-len(text) // _ASCII_PER_TOKEN)
    kinds = text.translate(_KIND_OF)
    ascii_bytes, cost = len(text), 0.0
    for _, kind, size, tokens_each in _KINDS:
        count = kinds.count(kind)
        ascii_bytes -= count * size
        cost += count * tokens_each
    return int(cost + ascii_bytes / _ASCII_PER_TOKEN) + 1


def cut(text: str, most: int, note: str) -> str:
    """The start and the end of a text, `most` tokens in total, with `note` between them ({count}: the omitted part).

    The result is deterministic, so that the vendor finds it in its cache.
    """
    if len(text) * MOST_PER_CHARACTER <= most or tokens(text) <= most:
        return text
    kept = _fitting(text, most)
    head = _head(kept)
    return text[:head] + note.format(count=len(text) - kept) + text[len(text) - (kept - head) :]


def _fitting(text: str, most: int) -> int:
    """The number of characters, two thirds from the start and a third from the end, that fit into `most` tokens."""
    kept = len(text)
    while kept and (cost := _cost(text, kept)) > most:
        kept = min(kept - 1, kept * most // cost)
    return kept


def _cost(text: str, kept: int) -> int:
    head = _head(kept)
    return tokens(text[:head]) + tokens(text[len(text) - (kept - head) :])


def _head(kept: int) -> int:
    return -(-2 * kept // 3)
