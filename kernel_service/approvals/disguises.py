"""A text without its disguises: other forms of letters, invisible characters, and the usual encodings."""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from kernel_service.approvals.unseen import BLANK, is_selector

if TYPE_CHECKING:
    from collections.abc import Iterator

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cn", "Cs"})
_SPACES: Final = "\t\n\r\v\f"
_ROUNDS: Final = 3
"""How often a text is decoded: `%252540` becomes an @ only when it is decoded more than once."""
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_BASE64_ROUNDS: Final = 2
_FOLD: Final = re.compile(r"(?<=[\w+/-])\r?\n(?=[\w+/-])")
_LEGIBLE: Final = re.compile(rb"[\t\n\r -~]{10,}")
"""In bytes that are not text. Shorter runs are chance."""


def plain_text(text: str) -> str:
    """Compatible forms as one (a fullwidth @ as @), and nothing that cannot be seen."""
    shown = (char for char in text if char in _SPACES or not _is_invisible(char))
    # An ideographic full stop separates the labels of a host name (RFC 3490, section 3.1).
    return unicodedata.normalize("NFKC", "".join(shown)).replace("\u3002", ".")


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in _INVISIBLE or is_selector(char) or char in BLANK


def readings_of(text: str) -> Iterator[str]:
    """The text as it is, and each of its decoded forms."""
    reading = plain_text(text)
    yield from _with_decoded(reading, _BASE64_ROUNDS)
    for _ in range(_ROUNDS):
        decoded = plain_text(_ESCAPE.sub(_unescaped, html.unescape(unquote(reading))))
        if decoded == reading:
            return
        reading = decoded
        yield from _with_decoded(reading, _BASE64_ROUNDS)


def _with_decoded(reading: str, rounds: int) -> Iterator[str]:
    """And what is in it in Base64, folded into lines or not."""
    yield reading
    words = [*_BASE64.findall(reading), *_BASE64.findall(_FOLD.sub("", reading))] if rounds else []
    for word in dict.fromkeys(words):
        if decoded := _from_base64(word):
            yield from _with_decoded(plain_text(decoded), rounds - 1)


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1] or escape[2], 16))


def _from_base64(word: str) -> str:
    """The readable text in it; empty if there is none."""
    whole = word.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        decoded = base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True)
    except binascii.Error:
        return ""
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        text = "\0"
    if all(char.isprintable() or char in _SPACES for char in text):
        return text
    return b"\n".join(_LEGIBLE.findall(decoded)).decode()
