"""The chat endpoint of the OpenAI emulator, with the vendor's own client."""

from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, InternalServerError
from openai.types.chat import ChatCompletion

from emulators.app import Emulators
from emulators.openai.turns import Failed, Incomplete, Output, Refused, Text, ToolCall, Turn

MODEL = "gpt-6-luna"
TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
ASKED = {"role": "user", "content": "Time?"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOLD = {"role": "tool", "tool_call_id": "call_1", "content": "12:00"}


async def complete(client: AsyncOpenAI, *messages: Any, **more: Any) -> ChatCompletion:
    answer = await client.chat.completions.create(model=MODEL, messages=list(messages), **more)
    assert isinstance(answer, ChatCompletion)
    return answer


async def test_both_endpoints_have_the_same_model(client: AsyncOpenAI) -> None:
    said = "My name is Ada. What is my name?"
    answer = await complete(client, {"role": "user", "content": said})
    response = await client.responses.create(model=MODEL, input=said)
    assert answer.choices[0].message.content == response.output_text
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert answer.usage.total_tokens > 0


async def test_the_reasons_why_an_answer_ends(client: AsyncOpenAI, emulators: Emulators) -> None:
    turns: list[str | Output | Turn] = [
        ToolCall("clock", {}),
        Incomplete("Once"),
        Incomplete("", "content_filter"),
        Refused("No."),
    ]
    emulators.openai.script(turns)
    answers = [(await complete(client, ASKED, tools=[TOOL])).choices[0] for _ in turns]
    assert [answer.finish_reason for answer in answers] == ["tool_calls", "length", "content_filter", "stop"]
    assert answers[-1].message.refusal == "No."


async def test_a_failure_has_a_status(client: AsyncOpenAI, emulators: Emulators) -> None:
    emulators.openai.script([Failed(), Failed(code="invalid_prompt")])
    with pytest.raises(InternalServerError):
        await complete(client, ASKED)
    with pytest.raises(BadRequestError):
        await complete(client, ASKED)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([ASKED, CALLED], "did not have response messages: call_1"),
        ([ASKED, CALLED, ASKED, TOLD], "did not have response messages: call_1"),
        ([ASKED, TOLD], "must be a response to a preceeding message"),
        ([ASKED, CALLED, TOLD, TOLD], "must be a response to a preceeding message"),
        ([ASKED, CALLED | {"tool_calls": [CALL, CALL]}, TOLD], "Duplicate value"),
        ([ASKED, {"role": "assistant", "content": None}], "got null"),
        ([ASKED | {"time": 7}], "Unknown parameter: 'messages[0].time'"),
        ([{"role": "user", "content": [{"type": "input_text", "text": "x"}]}], "Invalid value: 'input_text'"),
    ],
)
async def test_messages_out_of_order_are_refused(client: AsyncOpenAI, messages: list[Any], words: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        await complete(client, *messages, tools=[TOOL])
    assert words in str(refused.value)


async def test_a_stream_ends_with_the_usage_that_was_asked_for(client: AsyncOpenAI, emulators: Emulators) -> None:
    emulators.openai.script([[Text("Let me look. " * 3), ToolCall("clock", {"zone": "UTC"})]])
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Time?"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "Let me look. " * 3
    calls = [call for chunk in chunks[:-1] for call in chunk.choices[0].delta.tool_calls or []]
    assert "".join(call.function.arguments or "" for call in calls if call.function) == '{"zone":"UTC"}'
    assert (chunks[-1].choices, chunks[-2].choices[0].finish_reason) == ([], "tool_calls")
    assert chunks[-1].usage
