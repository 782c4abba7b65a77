"""A finished Response as a chat completion, whole and in chunks, in OpenAI's form or in that of a lesser server.

Source: openai 3.54, types/chat.
"""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any

import orjson

from emulators.openai.stream import pieces

Completion = dict[str, Any]

ODDITIES = frozenset({
    "no_ids", "same_ids", "argument_objects", "content_parts", "no_content", "null_choices", "no_usage", "usage_zero",
    "no_finish_reason", "always_stop", "no_done", "keep_alive", "reasoning_content", "reasoning", "think_tags",
    "no_index", "zero_index", "whole_calls", "repeated_names", "usage_huge", "usage_negative",
    "usage_in_x_groq", "usage_texts", "thought_signatures", "calls_as_json", "calls_in_tags", "calls_in_xml",
    "channel_names", "arguments_twice", "filter_chunks", "always_streams", "plain_stream",
})  # fmt: skip
"""Ways in which servers differ from OpenAI, by name:

Ollama numbers every call 0 and sends each whole. llama-cpp-python and older vLLM leave out ids and indices, or repeat
the name in each piece. Mistral sends content in parts. DeepSeek, vLLM and llama.cpp tell reasoning in
`reasoning_content`, OpenRouter in `reasoning`. Servers without a parser of it leave it in the text.

Gemini signs the first call of a message. Ollama, llama.cpp and vLLM leave calls in the text, in three forms, and the
tokens of a channel at their names. vLLM encodes the arguments of Granite twice. Azure sends chunks with the results of
its filter. Gateways stream though they were not asked to, or stream as `application/json`.

Sources: 0xsline/OpenChatCut#6, NousResearch/hermes-agent#83023 and #87900, vllm-project/vllm#25729,
microsoft/autogen#6465, openclaw/openclaw#97474, Portkey-AI/gateway#1072."""


def completion(response: dict[str, Any], odd: AbstractSet[str] = frozenset()) -> Completion:
    """Of a Response in any state."""
    message = _message(response["output"], odd)
    reason = None if "no_finish_reason" in odd else _finish_reason(response, message, odd)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    whole: Completion = {
        "id": response["id"].replace("resp_", "chatcmpl-"),
        "object": "chat.completion",
        "created": response["created_at"],
        "model": response["model"],
        "choices": [] if "null_choices" in odd else [choice],
        "service_tier": "default",
    }
    if response["usage"] and "no_usage" not in odd:
        whole["usage"] = _usage(response["usage"], odd)
    return whole


def _message(output: list[dict[str, Any]], odd: AbstractSet[str]) -> dict[str, Any]:
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    text = "\n\n".join(part["text"] for part in parts if part["type"] == "output_text" and part["text"])
    refusal = "".join(part["refusal"] for part in parts if part["type"] == "refusal")
    calls = [item for item in output if item["type"] == "function_call"]
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": refusal or None}
    if "think_tags" in odd:
        message["content"] = f"<think>\nFollowing the rules.\n</think>\n\n{text}"
    if "content_parts" in odd and text:
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Following the rules."}]}
        message["content"] = [thought, {"type": "text", "text": text}]
    if "no_content" in odd and not text:
        del message["content"]
    for name in odd & {"reasoning_content", "reasoning"}:
        message[name] = "Following the rules."
    if calls and (form := next(iter(odd & _WRITTEN.keys()), "")):
        message["content"] = "\n".join(filter(None, (text, *map(_WRITTEN[form], calls))))
    elif calls:
        message["tool_calls"] = [_call(call, odd) for call in calls]
    if calls and "thought_signatures" in odd and "tool_calls" in message:
        message["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "c2lnbmVk"}}
    return message


def _as_json(item: dict[str, Any]) -> str:
    return f'{{"name": "{item["name"]}", "arguments": {item["arguments"]}}}'


def _in_xml(item: dict[str, Any]) -> str:
    given = orjson.loads(item["arguments"]).items()
    told = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in given)
    return f"<tool_call>\n<function={item['name']}>\n{told}</function>\n</tool_call>"


_WRITTEN: dict[str, Callable[[dict[str, Any]], str]] = {
    "calls_as_json": _as_json,
    "calls_in_tags": lambda item: f"<tool_call>\n{_as_json(item)}\n</tool_call>",
    "calls_in_xml": _in_xml,
}
"""How a call is written into the text."""


def _call(item: dict[str, Any], odd: AbstractSet[str]) -> dict[str, Any]:
    arguments = item["arguments"]
    if "argument_objects" in odd:
        arguments = orjson.loads(arguments)
    call = {"id": item["call_id"], "type": "function", "function": {"name": item["name"], "arguments": arguments}}
    if "channel_names" in odd:
        call["function"]["name"] = f"functions.{item['name']}<|channel|>commentary"
    if "arguments_twice" in odd:
        call["function"]["arguments"] = orjson.dumps(arguments).decode()
    if "same_ids" in odd:
        call["id"] = "call_0"
    if "no_ids" in odd:
        del call["id"]
    return call


def _finish_reason(response: dict[str, Any], message: dict[str, Any], odd: AbstractSet[str]) -> str:
    incomplete = response["incomplete_details"]
    if incomplete:
        return "content_filter" if incomplete["reason"] == "content_filter" else "length"
    return "tool_calls" if "tool_calls" in message and "always_stop" not in odd else "stop"


_ODD_COUNTS: dict[str, Callable[[int], Any]] = {
    "usage_huge": lambda _: 10**12,
    "usage_negative": lambda count: -count,
    "usage_texts": str,
}


def _usage(usage: dict[str, Any], odd: AbstractSet[str]) -> dict[str, Any]:
    if "usage_zero" in odd:
        return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    for name, changed in _ODD_COUNTS.items():
        if name in odd:
            read, written = changed(usage["input_tokens"]), changed(usage["output_tokens"])
            details = {"cached_tokens": changed(10**12)}
            return {"prompt_tokens": read, "completion_tokens": written, "prompt_tokens_details": details}
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
        "prompt_tokens_details": {"cached_tokens": usage["input_tokens_details"]["cached_tokens"], "audio_tokens": 0},
        "completion_tokens_details": usage["output_tokens_details"],
    }


# --- in chunks --------------------------------------------------------------------------------------------------------


def chunks(whole: Completion, odd: AbstractSet[str], *, include_usage: bool) -> Iterator[Completion]:
    """Usage comes in a last chunk without a choice, if it is asked for."""
    base = {**whole, "object": "chat.completion.chunk", "choices": []}
    usage = base.pop("usage", None)
    if "filter_chunks" in odd:
        yield {**base, "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
    for choice in whole["choices"]:
        for delta in _deltas(choice["message"], odd):
            yield {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    if "filter_chunks" in odd:
        yield {**base, "choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {"check_offset": 1}}]}
    if usage and "usage_in_x_groq" in odd:
        yield {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": None}], "x_groq": {"usage": usage}}
    elif include_usage and usage:
        yield {**base, "usage": usage}


def _deltas(message: dict[str, Any], odd: AbstractSet[str]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    for name in ("reasoning_content", "reasoning", "refusal"):
        for piece in pieces(message.get(name) or ""):
            yield {name: piece}
    content = message.get("content") or ""
    for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        if part["type"] != "text":
            yield {"content": [part]}
        for piece in pieces(part.get("text", "")):
            yield {"content": [{"type": "text", "text": piece}] if isinstance(content, list) else piece}
    for number, call in enumerate(message.get("tool_calls", [])):
        for delta in _call_deltas(call, odd):
            numbered = {} if "no_index" in odd else {"index": 0 if "zero_index" in odd else number}
            yield {"tool_calls": [numbered | delta]}


def _call_deltas(call: dict[str, Any], odd: AbstractSet[str]) -> Iterator[dict[str, Any]]:
    written = call["function"]["arguments"]
    if odd & {"whole_calls", "argument_objects"}:
        yield call
        return
    begun = {**call, "function": {**call["function"], "arguments": ""}}
    yield begun
    repeated = begun if "repeated_names" in odd else {"function": {}}
    for piece in pieces(written):
        yield repeated | {"function": repeated["function"] | {"arguments": piece}}


def text_of(chunk: Completion) -> str:
    """The text that a chunk adds."""
    content = chunk["choices"][0].get("delta", {}).get("content") if chunk["choices"] else ""
    return content if isinstance(content, str) else ""
