"""A part that exceeded a person's limit is retried at growing intervals, whichever way WhatsApp reports it."""

import pytest

from whatsapp_gateway.outbound import part_backoff
from whatsapp_gateway.outbound.part_backoff import PartBackoff


def test_errors_and_statuses_count_together() -> None:
    backoff = PartBackoff()
    assert [
        backoff.count_refusal("rp_1/1/1"),
        backoff.count_refusal("rp_1/1/1", "wamid.1"),
        backoff.count_refusal("rp_1/1/1"),
    ] == [0, 1, 2]
    assert backoff.count_refusal("rp_2/1/1") == 0


def test_a_repeated_status_counts_once() -> None:
    backoff = PartBackoff()
    assert [backoff.count_refusal("rp_1/1/1", wamid) for wamid in ("w.1", "w.1", "w.2", "w.2", "w.3")] == [
        0,
        0,
        1,
        1,
        2,
    ]


def test_a_status_without_a_callback_id_is_not_counted() -> None:
    backoff = PartBackoff()
    assert [backoff.count_refusal("", "w.1"), backoff.count_refusal("", "w.2")] == [0, 0]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_backoff, "MOST_REMEMBERED", 10)
    backoff = PartBackoff()
    for number in range(100):
        backoff.count_refusal(f"rp_{number}/1/1")
    assert len(backoff._refused) == 10
    assert backoff.count_refusal("rp_99/1/1") == 1
