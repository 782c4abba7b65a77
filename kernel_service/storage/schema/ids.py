"""Ids that sort by creation time: a prefix and 26 characters of Crockford's base 32 (a ULID)."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_RANDOM_BITS = 80


def new_id(prefix: str, now: float | None = None) -> str:
    """`p`, `t` or `rp` becomes `p_01K…`: 48 bits of milliseconds, 80 random bits."""
    milliseconds = int((time.time() if now is None else now) * 1000)
    number = (milliseconds << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    return prefix + "_" + "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])
