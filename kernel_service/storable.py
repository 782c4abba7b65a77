"""Makes values acceptable to every store and every vendor. This is the only place that repairs them.

Vendors, tools and people send values that orjson, PostgreSQL or a vendor's parser refuses: half an emoji (a lone
surrogate), NUL, integers beyond 64 bits, hundreds of levels. A late refusal discards a turn that has done its work.

| received | stored |
|---|---|
| a lone surrogate, NUL | U+FFFD; two halves that belong together are joined |
| an integer beyond 64 bits | its digits as text |
| NaN, Infinity | null once it is written, as in all JSON |
| a level below MOST_DEPTH, a value after MOST_VALUES | a sentence that says so |
| a key that is not a text | its text |
| bytes | their text in UTF-8, else their number |
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from collections.abc import Iterable

ORJSON_DEPTH: Final = 254
"""The most levels that orjson writes."""
MOST_DEPTH: Final = 200
"""The most levels that are kept. They are nested in an item, which is nested in a request."""
MOST_VALUES: Final = 200_000
"""The most values of a structure that needs repair. One that contains itself would never end."""

REPLACEMENT: Final = "\ufffd"
TOO_DEEP: Final = f"[left out: nested more than {MOST_DEPTH} levels deep]"
TOO_MANY: Final = f"[left out: more than {MOST_VALUES} values]"

# Only plain values stay unchanged. Values that orjson would convert are converted here.
_PLAIN: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
_NUL: Final = b"\\u0000"


def storable(value: Any) -> Any:
    """The value as JSON values that can be stored and sent; the same object if it needs no repair."""
    try:
        written = orjson.dumps(value, option=_PLAIN)
        if _needs_no_repair(written) or (_NUL not in written and orjson.dumps(_deeper(value), option=_PLAIN)):
            return value
    except TypeError:
        pass
    return _Repair().repaired(value, 0)


def _deeper(value: Any) -> Any:
    """Nests the value, so that orjson accepts it only if it leaves room for the enclosing levels."""
    for _ in range(ORJSON_DEPTH - MOST_DEPTH):
        value = [value]
    return value


def storable_text(text: str) -> str:
    """The text without NUL and lone surrogates."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", REPLACEMENT) if "\0" in text else text


def to_json(value: Any, *, sort_keys: bool = False) -> bytes:
    """The value as JSON, repaired if necessary."""
    option = orjson.OPT_SORT_KEYS if sort_keys else 0
    try:
        written = orjson.dumps(value, option=option)
    except TypeError:
        pass
    else:
        if _NUL not in written:
            return written
    return orjson.dumps(storable(value), option=option)


def from_json(raw: bytes | str) -> Any:
    """The JSON value, repaired if necessary. ValueError if it is not JSON."""
    written = raw if isinstance(raw, bytes) else raw.encode(errors="replace")
    if not (_may_have_long_integers(written) and _may_have_long_integers(_STRING.sub(b"", written))):
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass
        else:
            return value if _needs_no_repair(written) else storable(value)
    text = raw if isinstance(raw, str) else raw.decode(errors="replace")
    return storable(json.loads(_shallow(text), parse_int=_integer))


_LONG_INTEGER: Final = b" " + b"0" * 19
"""orjson reads an integer beyond 64 bits as a float, which changes its value."""
_FORMS: Final = bytes.maketrans(b"123456789[:,-\t\n\r", b"0" * 9 + b" " * 7)
"""Each digit becomes 0, and each byte that may precede a number a space."""
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


def _may_have_long_integers(written: bytes) -> bool:
    """Most vendors' ids have long runs of digits, but within a word."""
    return _LONG_INTEGER in b" " + written.translate(_FORMS)


def _needs_no_repair(written: bytes) -> bool:
    """Whether JSON that orjson has read is surely shallow and without NUL: two searches cost less than a walk."""
    return written.count(b"[") + written.count(b"{") <= MOST_DEPTH and _NUL not in written


def _integer(digits: str) -> int | str:
    """Python refuses integers of thousands of digits."""
    try:
        return int(digits)
    except ValueError:
        return digits


_PIECE: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]|[^"\[\]{}]+', re.DOTALL)
"""An unterminated string also matches, and nothing backtracks: otherwise each of its quotes would be tried."""


def _shallow(text: str) -> str:
    """The JSON without the levels that are too deep, since a recursive parser gives up on them."""
    kept: list[str] = []
    depth = 0
    for piece in _PIECE.findall(text):
        opens, closes = piece in "[{", piece in "]}"
        depth += opens
        if depth <= MOST_DEPTH:
            kept.append(piece)
        elif opens and depth == MOST_DEPTH + 1:
            kept.append(f'"{TOO_DEEP}"')
        depth -= closes
    return "".join(kept)


class _Repair:
    """Repairs one structure, down to a depth and up to a number of values."""

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def repaired(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            return TOO_MANY
        if value is None or isinstance(value, _LEAVES):
            return _leaf(value)
        if depth >= MOST_DEPTH:
            return TOO_DEEP
        if isinstance(value, list | tuple | set | frozenset):
            return self._sequence(value, depth)
        if isinstance(value, dict):
            return self._mapping(value.items(), depth)
        return self.repaired(_as_python(value), depth + 1)

    def _mapping(self, items: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in items:
            if self._left < 0:
                kept["…"] = TOO_MANY
                break
            kept[_key(key)] = self.repaired(value, depth + 1)
        return kept

    def _sequence(self, values: Iterable[Any], depth: int) -> list[Any]:
        kept: list[Any] = []
        for value in values:
            kept.append(self.repaired(value, depth + 1))
            if self._left < 0:
                break
        return kept


_LEAVES: Final = (str, bool, int, float, bytes, bytearray, memoryview)


def _leaf(value: Any) -> str | bool | int | float | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return storable_text(str(value))
    if isinstance(value, int):
        return _whole(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return _text_of(bytes(value))


def _whole(number: int) -> int | str:
    if -(2**63) <= number < 2**64:
        return number
    try:
        return str(number)
    except ValueError:  # Python refuses to write integers of thousands of digits
        return f"[an integer of {number.bit_length()} bits]"


def _text_of(data: bytes) -> str:
    try:
        return storable_text(data.decode())
    except UnicodeDecodeError:
        return f"[{len(data)} bytes]"


def _key(key: Any) -> str:
    """The key as JSON writes it: `null`, `true`, `1`."""
    if isinstance(key, str):
        return storable_text(str(key))
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return storable_text(str(_whole(int(key)) if isinstance(key, int) else key))


def _as_python(value: Any) -> Any:
    """An object of any other kind: a dataclass by its fields, a date or a model as pydantic writes it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    try:
        return to_jsonable_python(value, serialize_unknown=True, inf_nan_mode="null")
    except Exception:  # noqa: BLE001 - an object's own code may raise anything
        return f"[a {type(value).__name__} that has no JSON form]"
