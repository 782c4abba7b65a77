"""Servers that differ from OpenAI, in the whole product: each message is answered, and so is the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulators.openai.chat_server import FAILURES
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

OUTAGES = {"lm_studio_path": "model_path_missing", "lm_studio_no_model": "model_not_found",
           "gemini_key": "model_rejects_key"}  # fmt: skip


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_failure_in_any_form_outlives_no_message(
    tmp_path: Path, api: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with whole_world(tmp_path, openai_api=api) as world:
        alice, openai = world.phone("Alice"), world.emulators.openai
        await world.ask(alice, "my name is Alice")
        for name in sorted(FAILURES.keys() - {"gemini_too_long"}):  # it shortens the conversation
            openai.fail_as(name)
            assert "hello" in (await world.ask(alice, f"hello there {name}")).text
        assert "Alice" in (await world.ask(alice, "what is my name?")).text, "nothing is forgotten"
        metrics = await world.metrics()
    for flaw in ("call_unreadable_to_the_server", "empty_body"):
        assert f'kernel_model_flaws_total{{flaw="{flaw}"}}' in metrics
    for problem in OUTAGES.values():
        assert f'kernel_model_outage{{problem="{problem}"}} 0.0' in metrics
        assert f"alert: {problem}" in caplog.text
        assert f"{problem} is over" in caplog.text
