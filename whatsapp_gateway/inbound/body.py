"""From the bytes of a webhook to its JSON."""

import json
import re
from typing import Any

import orjson

DEEPEST = 64
"""No webhook of WhatsApp nests half as deep; what lies deeper is read as null."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]|[^"\[\]{}]+', re.DOTALL)
"""A string that never ends is one as well, and nothing is looked at twice: else each of its quotes would be tried."""


def read_json(raw: bytes) -> Any:
    """The JSON value. Raises ValueError if the body is none.

    What a strict parser gives up on must not cost the good messages beside it: a name that was cut in the
    middle of an emoji, or an item that nests without end. Such bodies are mended, since to refuse them is to
    get them again for days.
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
