"""How many tokens a text costs at most, and texts that are cut to a number of them.

No tokenizer: its tables are the vendor's, differ by model, and are downloaded. Byte-level BPE, which OpenAI's and most
open models use, never makes more tokens than there are UTF-8 bytes. So scripts that its tables hardly know count a
token a byte; those that they know well count by their letters, and ASCII a token for three characters (prose has four,
dense JSON three). That is rather too much than too little, but for long runs of random ASCII (base64 has two).
"""

from __future__ import annotations

from typing import Any, Final

import orjson

_ASCII_PER_TOKEN: Final = 3


def _other_than(*ranges: range) -> bytes:
    kept = {byte for each in ranges for byte in each}
    return bytes(byte for byte in range(256) if byte not in kept)


# By the first byte of a character, what one costs: Latin with accents, Greek, Cyrillic, Hebrew, Arabic; Chinese,
# Japanese, Korean; the rest of the three-byte scripts, of which many are rare; emoji and historic scripts.
_COSTS: Final = (
    (_other_than(range(0xC2, 0xE0)), 1.0),
    (_other_than(range(0xE3, 0xEE)), 1.5),
    (_other_than(range(0xE0, 0xE3), range(0xEE, 0xF0)), 3.0),
    (_other_than(range(0xF0, 0xF5)), 4.0),
)
_NOT_ASCII: Final = _other_than(range(0x80))


def tokens(text: str) -> int:
    """What the text costs at most, about."""
    if text.isascii():
        return -(-len(text) // _ASCII_PER_TOKEN)
    written = text.encode(errors="replace")
    cost = len(written.translate(None, _NOT_ASCII)) / _ASCII_PER_TOKEN
    return int(cost + sum(len(written.translate(None, others)) * each for others, each in _COSTS)) + 1


def item_tokens(data: dict[str, Any]) -> int:
    """What a history item costs at most, its JSON counted with it."""
    return tokens(orjson.dumps(data).decode())


def cut(text: str, most: int, note: str) -> str:
    """The beginning and the end of a text, `most` tokens of it, with `note` in between ({count}: how much is left out).

    The same for the same text and number, so that the vendor finds it again in its cache.
    """
    if len(text) <= most // 4 or tokens(text) <= most:
        return text
    kept = _fitting(text, most)
    head = _head(kept)
    return text[:head] + note.format(count=len(text) - kept) + text[len(text) - (kept - head) :]


def _fitting(text: str, most: int) -> int:
    """How many characters, two thirds from the beginning and a third from the end, cost `most` tokens at most."""
    kept = len(text)
    while kept and (cost := _cost(text, kept)) > most:
        kept = min(kept - 1, kept * most // cost)
    return kept


def _cost(text: str, kept: int) -> int:
    head = _head(kept)
    return tokens(text[:head]) + tokens(text[len(text) - (kept - head) :])


def _head(kept: int) -> int:
    return -(-2 * kept // 3)
