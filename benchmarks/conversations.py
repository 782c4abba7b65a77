"""Conversations for benchmarks: realistic turns, whose words are sentences of this project's own documentation."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import orjson

from kernel_service.ports.turns import OWN, REASONING, HistoryItem

if TYPE_CHECKING:
    from collections.abc import Iterator

ORIGIN = "openai:bench"
_ROOT = Path(__file__).parents[1]
_MAILS_EVERY = 4
"""One turn in so many calls a tool, which returns three mails."""


def turns(count: int, seed: int) -> Iterator[list[HistoryItem]]:
    """The items of each turn, as the journal has them: an input, an answer of 1 to 4 sentences, reasoning, calls."""
    random = Random(seed)
    for number in range(count):
        called = _call(random) if number % _MAILS_EVERY == 0 else []
        yield [_said(random), *called, _thought(random), _answer(random)]


def _said(random: Random) -> HistoryItem:
    at = f"2026-11-{random.randint(1, 30):02} at {random.randint(0, 23):02}:07"
    stamp = f"[Sent on Monday, {at}, Europe/Vienna (UTC+01:00)]"
    parts = [{"type": "input_text", "text": text} for text in (random.choice(_sentences()), stamp)]
    return HistoryItem("input", {"type": "message", "role": "user", "content": parts}, OWN)


def _call(random: Random) -> list[HistoryItem]:
    call_id = f"call_{random.randbytes(12).hex()}"
    call = {
        "id": f"fc_{random.randbytes(24).hex()}",
        "type": "function_call",
        "status": "completed",
        "arguments": '{"query":"from:anna newer_than:7d","max_results":3}',
        "call_id": call_id,
        "name": "GMAIL_FETCH_EMAILS",
    }
    mails = [
        {"id": random.randbytes(8).hex(), "subject": random.choice(_sentences())[:60], "from": "anna@example.org"}
        for _ in range(3)
    ]
    result = {"type": "function_call_output", "call_id": call_id, "output": orjson.dumps({"mails": mails}).decode()}
    return [_thought(random), _output(call), HistoryItem("result", result, OWN)]


def _thought(random: Random) -> HistoryItem:
    identifier, sealed = random.randbytes(24).hex(), random.randbytes(500).hex()
    data = {"id": f"rs_{identifier}", "type": REASONING, "summary": [], "encrypted_content": sealed}
    return HistoryItem(REASONING, data, ORIGIN)


def _answer(random: Random) -> HistoryItem:
    text = " ".join(random.sample(_sentences(), random.randint(1, 4)))
    content = [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}]
    return _output(
        {
            "id": f"msg_{random.randbytes(24).hex()}",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": content,
        }
    )


def _output(data: dict[str, Any]) -> HistoryItem:
    return HistoryItem("output", data, ORIGIN)


@cache
def _sentences() -> list[str]:
    prose = "\n".join(path.read_text() for path in (_ROOT / "ARCHITECTURE.md", _ROOT / "README.md"))
    found = (text.strip() for text in re.split(r"(?<=[.!?])\s+|\n+", prose))
    return [text for text in found if 25 < len(text) < 300 and "|" not in text]
