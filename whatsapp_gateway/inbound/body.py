"""Parses the body of a webhook as JSON."""

import json
import re
from typing import Any

import orjson

DEEPEST = 64
"""No webhook of WhatsApp nests half as deep; deeper values are read as null."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]|[^"\[\]{}]+', re.DOTALL)
"""An unterminated string counts as a token as well, and nothing is scanned twice. Otherwise each of its quotes would be
tried.
"""


def read_json(raw: bytes) -> Any:
    """The JSON value. Raises `ValueError` if the body is not JSON.

    Input that a strict parser rejects must not affect the valid messages next to it: a name that was cut in the middle
    of an emoji, or an item with unbounded nesting. Such bodies are repaired, because WhatsApp redelivers a rejected
    body for days.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = json.loads(_shallow(raw).decode(errors="replace"))
        return orjson.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def _shallow(raw: bytes) -> bytes:
    kept: list[bytes] = []
    depth = 0
    for token in _TOKEN.findall(raw):
        if token in b"]}":
            depth -= 1
            if depth < DEEPEST:
                kept.append(token)
            continue
        if token in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                kept.append(b"null")
        if depth <= DEEPEST:
            kept.append(token)
    return b"".join(kept)
