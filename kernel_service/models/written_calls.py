"""Calls that a model wrote into its text, because its server does not parse them.

Ollama, llama.cpp, vLLM and others send such a text as the answer. It must hold calls of offered tools and nothing else:
otherwise it is only a text. Anyone can write a mail with a call in it, which a model may quote.

Source: the forms of Hermes, Qwen and Qwen3-Coder, as their chat templates ask for them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_TAGGED: Final = re.compile(r"<(tool_call|tools|function_call)>(.*?)(?:</\1>|\Z)", re.DOTALL)
_FUNCTION: Final = re.compile(r"<function=([^>\s]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER: Final = re.compile(r"<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
_FENCE: Final = "```"
_KEYS: Final = frozenset({"name", "arguments", "parameters", "id", "type"})
_DECODER: Final = json.JSONDecoder(strict=False)

Call = dict[str, Any]


def written_calls(text: str, is_offered: Callable[[str], bool]) -> list[Call]:
    """The calls, each with `name` and `arguments`; empty: it is a text."""
    calls = _calls_in(text)
    return calls if all(is_offered(call["name"]) for call in calls) else []


def _calls_in(text: str) -> list[Call]:
    for form, read in ((_TAGGED, _in_tags), (_FUNCTION, _in_function)):
        if form.search(text) and not form.sub("", text).strip():
            return [call for found in form.finditer(text) for call in read(found)]
    bare = text.strip()
    if bare.startswith(_FENCE):
        bare = bare.removeprefix(_FENCE).removeprefix("json").removesuffix(_FENCE).strip()
    return _objects(bare) if bare.startswith(("{", "[")) else []


def _in_tags(found: re.Match[str]) -> list[Call]:
    inner = found[2].strip()
    return [call for each in _FUNCTION.finditer(inner) for call in _in_function(each)] or _objects(inner)


def _in_function(found: re.Match[str]) -> list[Call]:
    return [{"name": found[1], "arguments": {name: _value(told) for name, told in _PARAMETER.findall(found[2])}}]


def _value(told: str) -> Any:
    """Texts come without quotes."""
    try:
        return json.loads(told)
    except ValueError:
        return told


def _objects(text: str) -> list[Call]:
    """Calls as JSON objects one after another, or in a list; empty: there is anything else."""
    calls: list[Call] = []
    while text:
        try:
            value, end = _DECODER.raw_decode(text)
        except (ValueError, RecursionError):
            return []
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, dict) or not isinstance(each.get("name"), str) or each.keys() - _KEYS:
                return []
            calls.append({"name": each["name"], "arguments": each.get("arguments", each.get("parameters", {}))})
        text = text[end:].lstrip(" \t\r\n,;")
    return calls
