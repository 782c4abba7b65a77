"""The sentences that operators get for wrong settings."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from kernel_service.config import Settings, problems


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("KERNEL_APPROVE", "sometimes", "must be 'destructive', 'careful', 'writes' or 'all'"),
        ("KERNEL_MAX_TURNS", "many", "must be a whole number"),
        ("KERNEL_MAX_TURNS", "1.5", "must be a whole number"),
        ("KERNEL_MAX_TURNS", "9" * 5000, "must be a whole number"),
        ("KERNEL_MAX_TURNS", "0", "must be from 1 to 10,000"),
        ("KERNEL_IDLE_SECONDS", "0", "must be from 1 to 1,000,000,000"),
        ("KERNEL_TRIGGER_GATHER_SECONDS", "-5", "must be from 0 to 86,400"),
        ("KERNEL_SCHEDULES_PER_USER", "1001", "must be from 0 to 1,000"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "must be from 0 to 1"),
        ("KERNEL_HISTORY_MB_PER_USER", "1e-300", "must be from 0.01 to 1,000,000, or 0"),
        ("KERNEL_INACTIVE_DAYS", "7", "must be from 30 to 36,500, or 0"),
        ("OPENAI_API", "Chat", "must be 'responses' or 'chat'"),
        ("KERNEL_DEBOUNCE_SECONDS", "soon", "must be a number"),
        ("KERNEL_ALLOW_INSECURE", "maybe", "must be true or false"),
        ("OPENAI_REASONING_EFFORT", "HIGH!", "must match ^[a-z]*$"),
    ],
)
def test_a_wrong_setting_gets_a_sentence_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert f"{name} {told}" in problems(refused.value)
