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


ODD = {
    "chat": ["thought_signatures", "calls_as_json", "calls_in_xml", "channel_names", "arguments_twice", "filter_chunks",
             "always_streams", "plain_stream", "usage_huge", "usage_negative", "usage_texts", "usage_in_x_groq"],
    "responses": ["no_last_event", "no_output_at_the_end", "no_done_events", "always_streams", "plain_stream"],
}  # fmt: skip


@pytest.mark.parametrize("api", sorted(ODD))
async def test_odd_answers_reach_the_person_and_calls_are_made(tmp_path: Path, api: str) -> None:
    settings = {"kernel_model_tokens_per_minute": 10**6, "kernel_daily_tokens_per_user": 10**7}
    async with whole_world(tmp_path, openai_api=api, **settings) as world:
        alice, openai = world.phone("Alice"), world.emulators.openai
        await world.ask(alice, "my name is Alice")
        openai.lack("unsigned_calls")
        for name in ODD[api]:
            openai.odd = {name}
            assert (await world.ask(alice, "List my Asana tasks")).link, name
            assert "Alice" in (await world.ask(alice, "what is my name?")).text, name
