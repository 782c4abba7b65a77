"""The data of an event is bounded, and what a person is told first survives."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from kernel_service.storable import to_json
from kernel_service.token_counts import tokens
from kernel_service.triggers.event_data import MOST_TOKENS, bounded

NESTED: Any = "end"
for _ in range(400):
    NESTED = {"inner": NESTED}


@pytest.mark.parametrize(
    "data",
    [
        {"sender": "bank", "message_text": "x" * 50_000},
        {"sender": "bank", "message_text": "\U0001f600" * 10_000},
        {"sender": "bank", "parts": [{"html": "<p>" * 5000} for _ in range(300)]},
        {"sender": "bank", **{f"field {number}": "some words" for number in range(5000)}},
        {"sender": "bank", "nested": NESTED},
        {"sender": "bank", "x" * 10_000: "y"},
        {"sender": "bank", "numbers": list(range(100_000))},
        {"sender": "bank", "lists": [[[["deep"] * 40] * 40] * 40] * 40},
    ],
    ids=["long", "emoji", "parts", "fields", "nested", "name", "numbers", "lists"],
)
def test_any_event_is_bounded(data: Any) -> None:
    kept = bounded(data)
    assert tokens(to_json(kept).decode()) <= MOST_TOKENS
    assert "bank" in to_json(kept).decode()


def test_a_usual_mail_stays_as_it_is() -> None:
    mail = {"sender": "bank", "subject": "Hello", "labels": ["INBOX"], "size": 7, "read": False, "cc": None}
    assert bounded(mail) == mail


@pytest.mark.parametrize("data", [None, 7, "text", [], {}, "\ud800", {"\0": "\ud800"}, float("inf")])
def test_odd_values_can_be_stored(data: Any) -> None:
    orjson.dumps(bounded(data))
