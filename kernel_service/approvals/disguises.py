"""What a text says once it is unwrapped: other forms of its letters, invisible ones, and the usual encodings."""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cn", "Cs"})
_SPACES: Final = "\t\n\r\v\f"
_ROUNDS: Final = 3
"""How often an encoding is taken off: `%252540` is an @ to whoever decodes more than once."""
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")


def plain_text(text: str) -> str:
    """Compatible forms as one (a fullwidth @ as @), and nothing that cannot be seen."""
    shown = (char for char in text if char in _SPACES or not _is_invisible(char))
    # An ideographic full stop separates the labels of a host name (RFC 3490, section 3.1).
    return unicodedata.normalize("NFKC", "".join(shown)).replace("\u3002", ".")


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in _INVISIBLE or "\ufe00" <= char <= "\ufe0f" or char in "\u034f\u115f\u3164"


def readings_of(text: str) -> Iterator[str]:
    """The text as it is, and as whoever decodes it would read it."""
    reading = plain_text(text)
    yield reading
    for word in _BASE64.findall(reading):
        if decoded := _from_base64(word):
            yield plain_text(decoded)
    for _ in range(_ROUNDS):
        decoded = plain_text(_ESCAPE.sub(_unescaped, html.unescape(unquote(reading))))
        if decoded == reading:
            return
        reading = decoded
        yield reading


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1] or escape[2], 16))


def _from_base64(word: str) -> str:
    """Empty: it is no text in Base64."""
    whole = word.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        text = base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text if all(char.isprintable() or char in _SPACES for char in text) else ""
