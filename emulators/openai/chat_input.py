"""A chat request in the form of the Responses API, which the one model of the emulator reads.

The one rule that only Chat Completions has is checked here: results stand right after their calls.
"""

from typing import Any

from emulators.openai.chat_wire import ChatRequest, FilePart, ImagePart, Message, Part, RefusalPart
from emulators.openai.errors import refused

Item = dict[str, Any]

_KEPT = ("model", "safety_identifier", "prompt_cache_key", "store", "stream", "temperature", "tool_choice", "top_p")


def as_responses(request: ChatRequest) -> dict[str, Any]:
    """The body of the same request to /responses. Raises RefusedError."""
    _check_order(request.messages)
    given = request.model_dump(exclude_none=True)
    body: dict[str, Any] = {name: given[name] for name in _KEPT if name in given}
    body["store"] = body.get("store", False)
    if limit := request.max_completion_tokens or request.max_tokens:
        body["max_output_tokens"] = max(16, limit)
    if request.reasoning_effort:
        body["reasoning"] = {"effort": request.reasoning_effort}
    if request.tools:
        body["tools"] = [tool.function.as_tool().model_dump(exclude_none=True) for tool in request.tools]
    first, *others = request.messages
    if first.role in ("system", "developer"):
        body["instructions"] = _text(first)
        return body | {"input": [item for message in others for item in _items(message)]}
    return body | {"input": [item for message in request.messages for item in _items(message)]}


def _check_order(messages: list[Message]) -> None:
    waiting: list[str] = []
    for number, message in enumerate(messages):
        at = f"messages.[{number}]"
        if message.role == "tool":
            if message.tool_call_id not in waiting:
                raise refused(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    param=f"{at}.role",
                )
            waiting.remove(message.tool_call_id)
            continue
        _check_answered(waiting, f"messages.[{number - 1}].role")
        if message.role == "assistant":
            waiting = [call.id for call in message.tool_calls or []]
            if len(set(waiting)) < len(waiting):
                raise refused(f"Duplicate value for 'tool_call_id' in message[{number}].", param=f"{at}.tool_calls")
        if message.content is None and not (message.tool_calls or message.refusal):
            raise refused(f"Invalid value for 'content': expected a string, got null. ({at})", param=f"{at}.content")
    _check_answered(waiting, "messages")


def _check_answered(waiting: list[str], param: str) -> None:
    if waiting:
        raise refused(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}",
            param=param,
        )


def _items(message: Message) -> list[Item]:
    if message.role == "tool":
        return [{"type": "function_call_output", "call_id": message.tool_call_id, "output": _text(message)}]
    if message.role != "assistant":
        return [{"type": "message", "role": message.role, "content": _content(message)}]
    said = [{"type": "message", "role": "assistant", "content": _text(message)}] if _text(message) else []
    calls = [
        {"type": "function_call", "call_id": call.id, **call.function.model_dump()} for call in message.tool_calls or []
    ]
    return [*said, *calls]


def _text(message: Message) -> str:
    if isinstance(message.content, list):
        return "\n\n".join(part.text for part in message.content if part.type == "text")
    return message.content or message.refusal or ""


def _content(message: Message) -> str | list[Item]:
    return list(map(_part, message.content)) if isinstance(message.content, list) else message.content or ""


def _part(part: Part) -> Item:
    if isinstance(part, ImagePart):
        return {"type": "input_image", "image_url": part.image_url.url}
    if isinstance(part, FilePart):
        return {"type": "input_file", **part.file.model_dump(exclude_none=True)}
    return {"type": "input_text", "text": part.refusal if isinstance(part, RefusalPart) else part.text}
