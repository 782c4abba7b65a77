"""Parts of requests that a compatible server refuses from everybody, and its words for that."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from emulators.vendor import RefusedError

Body = dict[str, Any]


def check(body: Body, lacks: set[str]) -> None:
    """Raises RefusedError."""
    for name in sorted(lacks):
        meets, status, answer = LACKS[name]
        if meets(body):
            raise RefusedError(name, status, answer)


def _has_part(kind: str) -> Callable[[Body], bool]:
    return lambda body: any(
        part.get("type") == kind
        for message in body["messages"]
        if isinstance(message.get("content"), list)
        for part in message["content"]
    )


def _sends(name: str) -> Callable[[Body], bool]:
    return lambda body: name in body


def _is_long_id(body: Body) -> bool:
    calls = [call for message in body["messages"] for call in message.get("tool_calls") or []]
    return any(not re.fullmatch(r"[a-zA-Z0-9]{9}", call["id"]) for call in calls)


def _does_not_alternate(body: Body) -> bool:
    sides = [
        message["role"]
        for message in body["messages"]
        if message["role"] == "user" or (message["role"] == "assistant" and not message.get("tool_calls"))
    ]
    return sides[:1] != ["user"] or any(one == other for one, other in pairwise(sides))


def _has_unsigned_call(body: Body) -> bool:
    """Whether the first call of a message since the last one of the person has no signature, as Gemini asks."""
    messages = body["messages"]
    last = max((place for place, message in enumerate(messages) if message["role"] == "user"), default=0)
    calls = [message["tool_calls"][0] for message in messages[last:] if message.get("tool_calls")]
    return any(not call.get("extra_content", {}).get("google", {}).get("thought_signature") for call in calls)


def _in_vllms_form(message: str) -> Body:
    return {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}


def _in_llama_cpps_form(message: str, code: int = 500) -> Body:
    return {"error": {"code": code, "message": message, "type": "server_error"}}


def _unknown_to_mistral(name: str) -> Body:
    detail = [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": 1}]
    return {"object": "error", "message": {"detail": detail}, "type": "invalid_request_error", "code": None}


FAILURES: dict[str, tuple[int, Any]] = {
    "lm_studio_path": (200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
    "lm_studio_no_model": (400, {"error": "No models loaded. Please load a model in the developer page."}),
    "lm_studio_crash": (
        400,
        {"error": "The model has crashed without additional information. (Exit code: 18446744072635812000)"},
    ),
    "lm_studio_load": (400, {"error": 'Failed to load model "qwen/qwen3". Error: Operation canceled.'}),
    "gemini_key": (
        400,
        [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.",
                    "status": "INVALID_ARGUMENT"}}],
    ),
    "gemini_too_long": (
        400,
        [{"error": {"code": 400, "message": "The input token count (1200000) exceeds the maximum number of tokens "
                                            "allowed (1048576).", "status": "INVALID_ARGUMENT"}}],
    ),
    "groq_call": (
        400,
        {"error": {"message": "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more "
                              "details.", "type": "invalid_request_error", "code": "tool_use_failed",
                   "failed_generation": "<function=look>{}</function>"}},
    ),
    "llama_cpp_call": (500, _in_llama_cpps_form("Failed to parse input at pos 184: <tool_call>look")),
    "vllm_harmony": (
        500,
        _in_vllms_form('unexpected tokens remaining in message header: Some("to=functions.look")'),
    ),
    "vllm_bare": (200, _in_vllms_form("The engine is dead.") | {"code": 500}),
    "gateway_bare": (200, {"code": "rate_limit_daily", "message": "Error code: 429 - the quota is used up"}),
    "fastapi_bare": (200, {"detail": "Internal Server Error"}),
    "openrouter_padding": (200, "\n\n\n         \n"),
}  # fmt: skip
"""Answers of servers that do not serve, by name: the HTTP status, and JSON or a text.

Sources: lmstudio-ai/lmstudio-bug-tracker#618 and #1347, charmbracelet/crush#2546, cequence-io/openai-scala-client#109,
groq/groq-typescript#28, ggml-org/llama.cpp#24644, vllm-project/vllm#51977, XpressAI/xaibo#36."""

LACKS: dict[str, tuple[Callable[[Body], bool], int, Any]] = {
    "unsigned_calls": (
        _has_unsigned_call,
        400,
        [{"error": {"code": 400, "message": "Function call is missing a thought_signature in functionCall parts. This "
                                            "is required for tools to work correctly.",
                    "status": "INVALID_ARGUMENT"}}],
    ),
    "tools": (
        _sends("tools"),
        400,
        {"error": {"message": "registry.ollama.ai/library/gemma3:4b does not support tools", "type": "api_error",
                   "param": None, "code": None}},
    ),
    "tool_parser": (
        _sends("tools"),
        400,
        _in_vllms_form('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
    ),
    "images": (
        _has_part("image_url"),
        500,
        _in_llama_cpps_form("image input is not supported - hint: if this is unexpected, you may need to provide the "
                            "mmproj"),
    ),
    "files": (_has_part("file"), 400, _in_vllms_form("Unknown part type: file")),
    "parts": (
        lambda body: _has_part("image_url")(body) or _has_part("file")(body),
        400,
        {"error": {"message": "'messages.1' : for 'role:user' the following must be satisfied[('messages.1.content' : "
                              "value must be a string)]", "type": "invalid_request_error"}},
    ),
    "max_tokens": (
        _sends("max_tokens"),
        400,
        {"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                              "'max_completion_tokens' instead.", "type": "invalid_request_error",
                   "param": "max_tokens", "code": "unsupported_parameter"}},
    ),
    "max_completion_tokens": (_sends("max_completion_tokens"), 422, _unknown_to_mistral("max_completion_tokens")),
    "stream_options": (_sends("stream_options"), 422, _unknown_to_mistral("stream_options")),
    "store": (_sends("store"), 422, _unknown_to_mistral("store")),
    "safety_identifier": (_sends("safety_identifier"), 422, _unknown_to_mistral("safety_identifier")),
    "prompt_cache_key": (_sends("prompt_cache_key"), 422, _unknown_to_mistral("prompt_cache_key")),
    "reasoning_content": (
        lambda body: any("reasoning_content" in message for message in body["messages"]),
        400,
        {"error": {"message": "property 'messages.2.reasoning_content' is unsupported",
                   "type": "invalid_request_error"}},
    ),
    "developer": (
        lambda body: any(message["role"] == "developer" for message in body["messages"]),
        400,
        _in_vllms_form("Unexpected message role: developer"),
    ),
    "system": (
        lambda body: any(message["role"] == "system" for message in body["messages"]),
        400,
        _in_vllms_form("System role not supported"),
    ),
    "same_side_twice": (
        _does_not_alternate,
        500,
        _in_llama_cpps_form("Conversation roles must alternate user/assistant/user/assistant/..."),
    ),
    "long_ids": (
        _is_long_id,
        500,
        _in_llama_cpps_form(
            "Tool call IDs should be alphanumeric strings with length 9!"  # language: ok - the template's
        ),
    ),
}  # fmt: skip
"""For each thing: whether a request has it, and the refusal.

Sources: ollama/ollama#8345, securo-finance/securo#884, ggml-org/llama.cpp#15377, vllm-project/vllm#10078, the chat
templates of Mistral-Nemo."""
