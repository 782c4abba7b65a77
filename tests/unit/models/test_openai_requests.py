"""The body of a request is joined from encoded items. Only those that refer to a file are decoded."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import orjson
import pytest

from kernel_service.models import openai_requests
from kernel_service.models.openai_requests import body_of, parameters
from kernel_service.ports.model import ModelFile, ModelRequest, ToolSchema

WORDS = [
    "media_id",
    '"media_id"',
    '"media_id":"m_1"',
    '{"type":"media","media_id":"m_1"}',
    '"}],"media_id":"m_1"}]}',
    '\\"media_id\\":\\"m_1\\"',
    "\\",
    '\u2028"media_id\u0022',
]


def content(
    *items: bytes, tools: tuple[ToolSchema, ...] = (), files: dict[str, ModelFile | str] | None = None
) -> bytes:
    request = ModelRequest("Be “brief”.", items, tools, "k" * 32, 500, files or {})
    written = body_of(request, parameters(request, "gpt-6-luna", effort="", stream=False)).content
    assert isinstance(written, bytes)
    return written


def said(*parts: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": "message", "role": "user", "content": list(parts)})


def test_items_go_out_as_they_are_kept() -> None:
    items = b'{"type" : "message", "n": 1.0}', b'{"z":"\\u00e4","a":2}'
    assert b'"input":[%b,%b]' % items in content(*items)
    assert orjson.loads(content())["input"] == []


@pytest.mark.parametrize("words", WORDS)
def test_words_never_count_as_a_reference(words: str) -> None:
    item = said({"type": "input_text", "text": words})
    assert orjson.loads(content(item, files={"m_1": "[Gone.]"}))["input"] == [orjson.loads(item)]


@pytest.mark.parametrize("words", WORDS)
def test_a_reference_is_found_behind_any_words(words: str) -> None:
    item = said({"type": "input_text", "text": words}, {"type": "media", "media_id": "m_1"})
    [sent] = orjson.loads(content(item, files={"m_1": "[Gone.]"}))["input"]
    assert sent["content"] == [{"type": "input_text", "text": words}, {"type": "input_text", "text": "[Gone.]"}]


def test_a_result_or_an_answer_that_names_a_file_stays() -> None:
    items = [
        {"type": "function_call_output", "call_id": "c", "output": "x", "media_id": "m_1"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "", "media_id": "m_1"}]},
        {"type": "message", "role": "user", "content": "media_id", "media_id": "m_1"},
    ]
    assert orjson.loads(content(*map(orjson.dumps, items)))["input"] == items


def test_a_tool_is_sent_whole() -> None:
    tool = ToolSchema("clock", 'Tells the "time".', {"type": "object", "properties": {"zone": {"type": "string"}}})
    [sent] = orjson.loads(content(tools=(tool,)))["tools"]
    assert sent == {
        "type": "function",
        "strict": False,
        "name": "clock",
        "description": 'Tells the "time".',
        "parameters": tool.parameters,
    }
    assert "tools" not in orjson.loads(content())


def test_the_tools_of_later_requests_are_not_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tuple(ToolSchema(f"tool_{number}", "Does it.", {"type": "object"}) for number in range(7))
    first = content(tools=tools)
    encoder = Mock(wraps=orjson)
    monkeypatch.setattr(openai_requests, "orjson", encoder)
    assert content(tools=tools) == first
    assert not [call for call in encoder.dumps.call_args_list if "name" in call.args[0]]


def test_instructions_of_any_letters() -> None:
    assert orjson.loads(content())["instructions"] == "Be “brief”."
