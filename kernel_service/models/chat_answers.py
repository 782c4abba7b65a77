"""A completion of the chat endpoint in the form of a Response, which openai_answers reads and repairs.

Source: openai 3.54, `types/chat`; how other servers differ: docs/reference/vendors.md.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.models import flaws
from kernel_service.models.chat_messages import REASONING, SIGNATURES, SIGNED, call_id_of
from kernel_service.models.openai_answers import read_answer, value_of
from kernel_service.models.openai_refusals import bare_error
from kernel_service.models.thinking import without_thinking
from kernel_service.models.written_calls import written_calls
from kernel_service.ports.model import UnusableAnswerError

if TYPE_CHECKING:
    from kernel_service.models.body import Body
    from kernel_service.ports.model import ModelAnswer

_ENDED_EARLY: Final = {
    "length": "max_output_tokens", "max_tokens": "max_output_tokens", "model_length": "max_output_tokens",
    "content_filter": "content_filter",
}  # fmt: skip
"""The second and third names are those of compatible servers, as Mistral."""
_FAILED: Final = ("error", "insufficient_system_resource", "abort")
"""Reasons of OpenRouter, DeepSeek and vLLM: the answer is not finished."""
_ASIDE: Final = ("thinking", "reasoning")
"""Types of parts that are not for the person, as Mistral sends them."""

Item = dict[str, Any]


def read_completion(raw: bytes | Item, body: Body) -> ModelAnswer:
    """As openai_answers.read_answer. Reasoning is sent back to the server that wrote it, until the turn ends."""
    completion = value_of(raw) if isinstance(raw, bytes) else raw
    if not isinstance(completion, dict):
        return read_answer(b"null", body)
    choice = _choice(completion)
    try:
        answer = read_answer(_as_response(completion, choice, body), body)
    except UnusableAnswerError as nonsense:
        raise UnusableAnswerError(nonsense.usage, _flaw(completion, choice)) from None
    told = _thought(choice.get("message"))
    if answer.items and (thought := told | _signatures(answer.items)):
        answer.items.insert(0, {"type": "reasoning", "id": f"rs_{secrets.token_hex(12)}", **thought})
    return replace(answer, flaw=flaws.REASONING_ALONE) if told and answer.flaw else answer


def _choice(completion: Item) -> Item:
    choices = completion.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _flaw(completion: Item, choice: Item) -> str:
    """Of a completion without a message."""
    if not isinstance(completion.get("choices"), list):
        return flaws.of_field(completion, "choices")
    if not completion["choices"]:
        return flaws.NO_CHOICE
    return flaws.of_field(choice, "message") if choice else flaws.BAD_CHOICE


def _as_response(completion: Item, choice: Item, body: Body) -> Item:
    message, ended = choice.get("message"), choice.get("finish_reason")
    response: Item = {"usage": _usage(completion.get("usage"))}
    if not isinstance(message, dict) or choice.get("error"):
        return response | {"error": choice.get("error") or completion.get("error") or bare_error(completion)}
    if ended in _FAILED:
        return response | {"status": "failed", "error": {"code": "server_error"}}
    reason = _ENDED_EARLY.get(ended) if isinstance(ended, str) else None
    content = message.get("content")
    calls = list(map(_call, _calls(message)))
    if not calls and isinstance(content, str):
        written = written_calls(without_thinking(content), lambda name: _offers(body, name))
        calls = [_call({"function": each}) for each in written]
        content = None if calls else content
    if reason and calls:
        calls[-1]["status"] = "incomplete"
    said = {"type": "message", "content": [*_said(content), *_refusal(message.get("refusal"))]}
    return response | {"incomplete_details": {"reason": reason}, "output": [said, *calls]}


def _said(content: Any) -> list[Any]:
    """Texts without reasoning. Content may be null, a text, one part, or parts of which some are reasoning."""
    parts = content if isinstance(content, list) else [content]
    said = [without_thinking(part) if isinstance(part, str) else part for part in parts]
    return [part for part in said if part and not (isinstance(part, dict) and part.get("type") in _ASIDE)]


def _refusal(words: Any) -> list[Item]:
    return [{"refusal": words}] if words else []


def _calls(message: Item) -> list[Item]:
    calls = message.get("tool_calls")
    made = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    # The form before tools, which some servers still use.
    return made or ([message] if isinstance(message.get("function_call"), dict) else [])


def _call(call: Item) -> Item:
    """With an id of ours: servers leave theirs out, or use one for every first call."""
    function = call.get("function") or call.get("function_call")
    of = function if isinstance(function, dict) else call
    made = {
        "type": "function_call",
        "call_id": call_id_of(secrets.token_hex(16)),
        "name": of.get("name"),
        "arguments": of.get("arguments"),
    }
    return made | {SIGNED: call[SIGNED]} if isinstance(call.get(SIGNED), dict) else made


def _offers(body: Body, name: str) -> bool:
    """Whether the request offers a tool of this name, as chat_requests writes it."""
    return body.holds(b'"function":{"name":%b,' % orjson.dumps(name))


def _thought(message: Any) -> Item:
    for name in REASONING:
        if isinstance(message, dict) and isinstance(message.get(name), str) and message[name]:
            return {name: message[name]}
    return {}


def _signatures(items: list[Item]) -> Item:
    """Moves the signatures of calls out of the items: only the server that signed takes them back."""
    signed = {item["call_id"]: item.pop(SIGNED) for item in items if SIGNED in item}
    return {SIGNATURES: signed} if signed else {}


def _usage(usage: Any) -> Item:
    of = usage if isinstance(usage, dict) else {}
    return {
        "input_tokens": of.get("prompt_tokens"),
        "input_tokens_details": of.get("prompt_tokens_details") or {"cached_tokens": of.get("prompt_cache_hit_tokens")},
        "output_tokens": of.get("completion_tokens"),
        "output_tokens_details": of.get("completion_tokens_details"),
    }
