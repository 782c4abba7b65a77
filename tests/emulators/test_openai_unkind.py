"""Unkind behaviour of vendors that the emulated model can repeat: refusals, empty answers, too much reasoning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest

from emulators.app import Emulators
from emulators.config import Config
from emulators.openai.turns import Nothing, from_json

if TYPE_CHECKING:
    from openai import AsyncOpenAI

HELLO: dict[str, Any] = {"model": "gpt-6.2-sol", "input": [{"role": "user", "content": "hello"}]}
SEALED: dict[str, Any] = {**HELLO, "store": False, "include": ["reasoning.encrypted_content"]}


async def test_reasoning_of_another_organisation_is_refused(emulators: Emulators, client: AsyncOpenAI) -> None:
    first = await client.responses.create(**SEALED)
    again = {**SEALED, "input": [*HELLO["input"], *(item.model_dump(exclude_none=True) for item in first.output)]}
    await client.responses.create(**again)
    emulators.openai.change_organisation("other")
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(**again)
    assert caught.value.code == "invalid_encrypted_content"


async def test_the_context_window_is_a_setting() -> None:
    async with Emulators.start(Config(emulators_listen="127.0.0.1:0", emulators_context_window=50)) as emulators:
        key = emulators.config.openai_api_key
        async with openai.AsyncOpenAI(api_key=key, base_url=emulators.openai.base_url, max_retries=0) as client:
            await client.responses.create(**HELLO)
            with pytest.raises(openai.BadRequestError) as caught:
                await client.responses.create(**{**HELLO, "input": "long " * 100})
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")


async def test_reasoning_counts_as_output(emulators: Emulators, client: AsyncOpenAI) -> None:
    emulators.openai.reason(1000)
    cut = await client.responses.create(**HELLO, max_output_tokens=999)
    assert (cut.status, cut.incomplete_details and cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert [item.type for item in cut.output] == ["reasoning"]
    assert cut.usage is not None
    assert cut.usage.output_tokens_details.reasoning_tokens == 1000
    whole = await client.responses.create(**HELLO, max_output_tokens=2000)
    assert whole.output_text


@pytest.mark.parametrize(("reasoning", "types"), [(True, ["reasoning"]), (False, [])])
async def test_a_scripted_turn_without_text_is_empty(
    emulators: Emulators, client: AsyncOpenAI, reasoning: bool, types: list[str]
) -> None:
    emulators.openai.script([from_json({"nothing": reasoning})])
    answer = await client.responses.create(**HELLO)
    assert (answer.status, [item.type for item in answer.output]) == ("completed", types)
    assert from_json({"nothing": reasoning}) == [Nothing(reasoning=reasoning)]


async def test_missing_credit_is_refused_in_openais_format(emulators: Emulators, client: AsyncOpenAI) -> None:
    emulators.openai.fail(402)
    with pytest.raises(openai.APIStatusError) as caught:
        await client.responses.create(**HELLO)
    assert (caught.value.status_code, caught.value.code) == (402, "insufficient_credits")
