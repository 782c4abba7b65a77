"""Webhooks that Meta would never send: its payloads, changed at random in their JSON and in their bytes."""

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

CANARY_ID, CANARY_KEY = "wamid.canary", "US.CANARY"
CANARY_WORDS = "a secret of nobody else's"
CANARY = {"id": CANARY_ID, "from_user_id": CANARY_KEY, "type": "text", "text": {"body": CANARY_WORDS}}
"""A message among the changed ones that is never changed itself."""

_NESTS = {b"[": b"]", b'{"a":': b"}"}
_DEPTHS = (10, 100, 253, 254, 255, 300, 1000, 1023, 1024, 1025, 3000)
"""JSON of 254 levels or more can be parsed but not serialised; beyond 1024 levels it cannot even be parsed."""
_DEEP = "where it nests"


def nested(opening: bytes, depth: int) -> bytes:
    """Nested arrays or objects, as JSON."""
    return opening * depth + b"1" + _NESTS[opening] * depth


ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e308, 2**63, 1.5, "", " ", "\0", "\ud800", "é" * 300, "x" * 70_000, "default",
    "default_user", "whatsapp:US.1", "US.A,US.B", "US.CANARY", "US.13491208655302741918", "US.ENT.11815799212886844830",
    "16505551234", "+16505551234", "٣٤٥٦٧", "wamid.1", "106540352242922", [], {}, [[]], [None], [{}], {"": {}},
    {"id": {"id": {}}}, {"body": "x"}, {"type": "text"}, "text", "image", "system",
    "interactive", "unsupported", "nfm_reply", "failed",
    "user_changed_number", "{", '{"a":1}', "nan", "inf", "1e999", "2" * 5000,
    *(nested(opening, depth).decode() for opening in _NESTS for depth in (253, 300, 1024)),
)  # fmt: skip
BYTES = (
    b"\x00",
    b"\xff",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\ud800",
    b"null",
    b"1e999",
    b"-",
    b"\xf0\x9f",
)


class Mutator:
    """`seeds` are the original bodies, as JSON values."""

    def __init__(self, seeds: Sequence[Any], rng: random.Random) -> None:
        self._seeds = seeds
        self._rng = rng

    def body(self) -> bytes:
        """The next body."""
        rng = self._rng
        value = copy.deepcopy(rng.choice(self._seeds))
        for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 5, 8))):
            self._change(value)
        if rng.random() < 0.02:
            owner, key = rng.choice(_places(value))
            owner[key] = _DEEP
        self._plant_canary(value)
        raw = json.dumps(value).encode()
        raw = raw.replace(json.dumps(_DEEP).encode(), nested(rng.choice(list(_NESTS)), rng.choice(_DEPTHS)))
        for _ in range(rng.choice((0, 0, 0, 0, 0, 0, 1, 2, 5))):
            raw = self._damaged(raw)
        return raw

    def _change(self, value: Any) -> None:
        """Change one place of the value."""
        rng = self._rng
        owner, key = rng.choice(_places(value))
        match rng.randrange(7):
            case 0 | 1:
                owner[key] = copy.deepcopy(rng.choice(ODD))
            case 2:
                del owner[key]
            case 3:
                # Copy a value from another place of this or another body, so that unrelated ids are combined.
                other, at = rng.choice(_places(value if rng.random() < 0.6 else rng.choice(self._seeds)))
                owner[key] = copy.deepcopy(other[at])
            case 4 if isinstance(owner, list):
                owner.extend(copy.deepcopy(owner[: rng.randrange(4)]))
            case 5 if isinstance(owner, list):
                rng.shuffle(owner)
            case _ if isinstance(owner, dict):
                owner[rng.choice(_KEYS)] = copy.deepcopy(rng.choice(ODD))

    def _plant_canary(self, value: Any) -> None:
        lists = [owner[key] for owner, key in _places(value) if key == "messages" and isinstance(owner[key], list)]
        if lists:
            messages = self._rng.choice(lists)
            messages.insert(self._rng.randrange(len(messages) + 1), CANARY)

    def _damaged(self, raw: bytes) -> bytes:
        rng = self._rng
        at = rng.randrange(len(raw) + 1)
        match rng.randrange(5):
            case 0:
                return raw[:at] + rng.choice(BYTES) + raw[at:]
            case 1:
                return raw[:at] + raw[at + rng.randrange(1, 9) :]
            case 2:
                return raw[:at]
            case 3:
                end = min(at + rng.randrange(200), len(raw))
                return raw[:end] + raw[at:]
        return raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key that hold a value."""
    found: list[tuple[Any, Any]] = []
    unseen = [value]
    while unseen:
        owner = unseen.pop()
        items = owner.items() if isinstance(owner, dict) else enumerate(owner) if isinstance(owner, list) else ()
        for key, inner in items:
            found.append((owner, key))
            unseen.append(inner)
    return found or [({"": None}, "")]


_KEYS = (
    "id", "from", "from_user_id", "from_parent_user_id", "user_id", "wa_id", "parent_user_id", "group_id", "type",
    "text", "context", "referral", "system", "errors", "messages", "statuses", "contacts", "timestamp",
    "previous_user_id", "interactive", "nfm_reply", "image", "caption", "sha256", "status", "recipient_user_id",
    "biz_opaque_callback_data",
)  # fmt: skip
