"""The emulator refuses the same requests as OpenAI, in OpenAI's wording."""

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from emulators.app import Emulators

MODEL = {"model": "gpt-6.2-sol"}
HELLO = {**MODEL, "input": [{"role": "user", "content": "hello"}]}


def call(call_id: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "connect", "arguments": "{}", **more}


def output(call_id: str = "call_1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "ok"}


def given(*items: Any) -> dict[str, Any]:
    return {**MODEL, "input": list(items)}


def tool(name: str = "t", **more: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}, **more}


def offering(*tools: Any) -> dict[str, Any]:
    return {**HELLO, "tools": list(tools)}


REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}
ANSWER = {"role": "assistant", "content": [{"type": "output_text", "text": "hi", "annotations": []}]}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({**HELLO, "mesages": []}, "Unknown parameter: 'mesages'."),
    ({"input": "hello"}, "Missing required parameter: 'model'."),
    ({**HELLO, "model": "mistral"}, "The requested model 'mistral' does not exist."),
    (MODEL, 'One of "input"'),
    ({**MODEL, "input": []}, 'One of "input"'),
    ({**HELLO, "store": "no"}, "Invalid type for 'store': expected a boolean, but got a string instead."),
    ({**HELLO, "include": ["everything"]}, "Invalid value: 'everything'. Supported values are: "),
    ({**HELLO, "max_output_tokens": 1}, "integer below minimum value. Expected a value >= 16, but got 1"),
    ({**HELLO, "safety_identifier": "x" * 129}, "Expected a string with maximum length 128"),
    ({**HELLO, "metadata": {str(n): "" for n in range(17)}}, "Invalid 'metadata'"),
    ({**HELLO, "stream_options": {}}, "only allowed when 'stream' is enabled"),
    ({**HELLO, "background": True}, "does not offer 'background'"),
    ({**HELLO, "previous_response_id": "resp_1"}, "Previous response with id 'resp_1' not found."),
    ({**HELLO, "reasoning": {"effort": "huge"}}, "Invalid value: 'huge'."),
    ({**HELLO, "text": {"format": {"type": "xml"}}}, "Invalid value: 'xml'."),
    (given("hello"), "Invalid type for 'input[0]'"),
    (given({"role": "user"}), "Missing required parameter: 'input[0].content'."),
    (given({"role": "robot", "content": "x"}), "Invalid value: 'robot'."),
    (given({"role": "user", "content": "x", "name": "Al"}), "Unknown parameter: 'input[0].name'."),
    (given({"type": "telepathy"}), "Invalid value: 'telepathy'."),
    (
        given({"role": "user", "content": [{"type": "output_text", "text": "x", "annotations": []}]}),
        "Invalid value: 'output_text'. Supported values are: 'input_text', 'input_image' and 'input_file'.",
    ),
    (
        given({"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}),
        "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.",
    ),
    (
        given({"role": "user", "content": [{"type": "input_text"}]}),
        "Missing required parameter: 'input[0].content[0].text'.",
    ),
    (
        given({**ANSWER, "content": [{"type": "refusal", "text": "x"}]}),
        "Missing required parameter: 'input[0].content[0].refusal'.",
    ),
    (given({"role": "user", "content": "x", "id": "foo"}), "Expected an ID that begins with 'msg'."),
    (given(call()), "No tool output found for function call call_1."),
    (given(output()), "No tool call found for function call output with call_id call_1."),
    (given(output(), call()), "No tool call found for function call output with call_id call_1."),
    (given(call(), call(), output()), "Duplicate function call found with id call_1."),
    (given(call(), output(), output()), "Duplicate function call output found for call_id call_1."),
    (given(call(id="fc_1"), call("call_2", id="fc_1")), "Duplicate item found with id fc_1."),
    (given(call(arguments={}), output()), "Invalid type for 'input[0].arguments': expected a string"),
    (given(call(name="no spaces"), output()), "Invalid 'input[0].name': string does not match pattern."),
    (given({**REASONING, "encrypted_content": "x"}), "without its required following item"),
    (given(REASONING, ANSWER), "Item with id 'rs_1' not found."),
    (given({**REASONING, "encrypted_content": "AAAA"}, ANSWER), "could not be verified"),
    (given({"type": "compaction", "encrypted_content": "ÄÖ"}), "could not be verified"),
    (offering({"type": "function"}), "Missing required parameter: 'tools[0].name'."),
    (offering(tool("no spaces")), "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."),
    (offering(tool("x" * 65)), "Expected a string with maximum length 64, but got a string with length 65"),
    (offering(tool(), tool()), "Tool names must be unique."),
    (offering(tool(parameters={"type": "string"})), "schema must be a JSON Schema of 'type: \"object\"'"),
    (offering(tool(parameters={"type": "object", "required": "x"})), "Invalid schema for function 't'"),
    (offering(tool(parameters={"properties": {}})), "got 'type: \"None\"'"),
    (offering(tool(parameters={"type": None, "properties": {}})), "got 'type: \"null\"'"),
    *(
        (offering(tool(parameters={"type": "object", "properties": {}, name: value})), "at the top level.")
        for name, value in (("oneOf", [{}]), ("anyOf", [{}]), ("allOf", [{}]), ("enum", [{}]), ("not", {}))
    ),
    (offering(tool(parameters={"type": "object"})), "In context=(), object schema missing properties."),
    (
        offering(tool(parameters={"type": "object", "properties": {"a": {"type": "array"}}})),
        "In context=('properties', 'a'), array schema missing items.",
    ),
    (
        offering(tool(parameters={"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}})),
        "reference to component '#/$defs/a' which was not found in the schema.",
    ),
    (offering(tool(strict=True)), "'additionalProperties' is required to be supplied and to be false"),
    (offering(*(tool(f"t{n}") for n in range(129))), "Expected an array with maximum length 128"),
    ({**offering(tool()), "tool_choice": {"type": "function", "name": "u"}}, "Tool choice 'u' not found"),
    ({**HELLO, "tool_choice": "required"}, "must be specified with 'tools' parameter"),
]


@pytest.mark.parametrize(("body", "words"), REFUSED, ids=[words[:50] for _, words in REFUSED])
async def test_refused(client: AsyncOpenAI, emulators: Emulators, body: dict[str, Any], words: str) -> None:
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)) as refused:
        await client.post("/responses", cast_to=object, body=body)
    error = refused.value.body
    assert isinstance(error, dict)
    assert words in error["message"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert not emulators.effects.all("model_call")


async def test_a_strict_tool_requires_every_property(client: AsyncOpenAI) -> None:
    closed = {"type": "object", "additionalProperties": False}
    inner = {**closed, "properties": {"x": {"type": "string"}}, "required": []}
    outer = {**closed, "properties": {"inner": inner}, "required": ["inner"]}
    with pytest.raises(openai.BadRequestError, match="Missing 'x'"):
        await client.post("/responses", cast_to=object, body=offering(tool(parameters=outer, strict=True)))
    inner["required"] = ["x"]
    await client.post("/responses", cast_to=object, body=offering(tool(parameters=outer, strict=True)))


async def test_stateless_reasoning_must_come_sealed(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="not persisted when `store` is set to false"):
        await client.post("/responses", cast_to=object, body={**given(REASONING, ANSWER), "store": False})


async def test_an_overlong_input_is_refused(client: AsyncOpenAI, emulators: Emulators) -> None:
    emulators.openai.context_window = 100
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="gpt-6.2-sol", input="x" * 1000)
    assert refused.value.code == "context_length_exceeded"


async def test_keys(emulators: Emulators) -> None:
    async with AsyncOpenAI(api_key="sk-wrong", base_url=emulators.openai.base_url) as client:
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided: sk-"):
            await client.responses.create(model="gpt-6.2-sol", input="x")
        with pytest.raises(openai.AuthenticationError, match="You didn't provide an API key"):
            await client.responses.create(
                model="gpt-6.2-sol", input="x", extra_headers={"Authorization": openai.Omit()}
            )


async def test_unknown_paths_and_bodies(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"Invalid URL \(POST /v1/completions\)"):
        await client.completions.create(model="gpt-6.2-sol", prompt="Hello")
    with pytest.raises(openai.BadRequestError, match="could not parse the JSON body"):
        await client.post("/responses", cast_to=object, content=b"{nonsense")
