"""Estimates the most tokens of a text, and cuts texts to a number of tokens.

There is no tokenizer: its tables belong to the vendor, differ by model, and must be downloaded. Byte-level BPE, which
OpenAI's and most open models use, never makes more tokens than there are UTF-8 bytes. So scripts that are rare in its
tables count one token per byte, and common scripts count by letters. ASCII counts one token for three characters (prose
has four, dense JSON three). The estimate is rather too high, except for long runs of random ASCII (base64 has two).
"""

from __future__ import annotations

from typing import Final

_ASCII_PER_TOKEN: Final = 3


def _other_than(*ranges: range) -> bytes:
    kept = {byte for each in ranges for byte in each}
    return bytes(byte for byte in range(256) if byte not in kept)


# The cost of a character by its first byte. The rows are: Latin with accents, Greek, Cyrillic, Hebrew, Arabic;
# Chinese, Japanese, Korean; the other three-byte scripts, many of them rare; emoji and historic scripts.
_COSTS: Final = (
    (_other_than(range(0xC2, 0xE0)), 1.0),
    (_other_than(range(0xE3, 0xEE)), 1.5),
    (_other_than(range(0xE0, 0xE3), range(0xEE, 0xF0)), 3.0),
    (_other_than(range(0xF0, 0xF5)), 4.0),
)
_NOT_ASCII: Final = _other_than(range(0x80))


def tokens(text: str) -> int:
    """The estimated most tokens of the text."""
    if text.isascii():
        return -(-len(text) // _ASCII_PER_TOKEN)
    return utf8_tokens(text.encode(errors="replace"))


def utf8_tokens(text: bytes) -> int:
    """The estimated most tokens of a text in UTF-8, such as an encoded history item."""
    if text.isascii():
        return -(-len(text) // _ASCII_PER_TOKEN)
    cost = len(text.translate(None, _NOT_ASCII)) / _ASCII_PER_TOKEN
    return int(cost + sum(len(text.translate(None, others)) * each for others, each in _COSTS)) + 1


def cut(text: str, most: int, note: str) -> str:
    """The start and the end of a text, `most` tokens in total, with `note` between them ({count}: the omitted part).

    The result is deterministic, so that the vendor finds it in its cache.
    """
    if len(text) <= most // 4 or tokens(text) <= most:
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
