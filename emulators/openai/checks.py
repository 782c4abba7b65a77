"""The checks of OpenAI beyond single fields: items must fit together.

Item types of hosted tools (web search, computer use, ...) are refused too, because the emulator has no such tools.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import ValidationError

from emulators.openai.chat_wire import ChatRequest
from emulators.openai.errors import invalid_value, of_shape, refused
from emulators.openai.speech import MODELS, SpeechRequest
from emulators.openai.tool_checks import check_tools
from emulators.openai.wire import (
    ITEMS,
    Base,
    CompactRequest,
    CreateRequest,
    FunctionCall,
    FunctionCallOutput,
    InputMessage,
    Item,
    OutputMessage,
    ReasoningItem,
    Strict,
)
from emulators.vendor import RefusedError

Shape = TypeVar("Shape", bound=Strict)

_MODEL = re.compile(r"^(gpt-[4-9]|o\d)")
_NOT_OFFERED = ("background", "conversation", "prompt")
_PREFIXES = {"function_call": "fc", "function_call_output": "fc", "reasoning": "rs", "compaction": "cmp"}


def create_request(body: Mapping[str, Any]) -> tuple[CreateRequest, list[Item]]:
    """Parse and check a request and its items. Raises RefusedError."""
    request = _shaped(CreateRequest, body)
    for name in _NOT_OFFERED:
        if getattr(request, name):
            raise refused(f"The emulator does not offer '{name}'.", param=name)
    if request.stream_options is not None and not request.stream:
        raise refused(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    check_tools(request)
    return request, _items(request, stored=request.store is not False)


def chat_request(body: Mapping[str, Any]) -> ChatRequest:
    """Parse a request to the chat endpoint. Raises RefusedError."""
    request = _shaped(ChatRequest, body)
    if request.stream_options is not None and not request.stream:
        raise refused(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    return request


def speech_request(body: Mapping[str, Any]) -> SpeechRequest:
    """Parse a request for a voice. Raises RefusedError."""
    request = _shaped(SpeechRequest, body)
    if request.model not in MODELS:
        raise refused(f"The model `{request.model}` does not exist.", status=404, param="model", code="model_not_found")
    if request.response_format != "opus":
        raise refused("The emulator offers 'opus' only.", param="response_format", code="unsupported_value")
    return request


@contextmanager
def in_words_of_chat() -> Iterator[None]:
    """A refusal of the Responses form names the parts of a chat request."""
    try:
        yield
    except RefusedError as refused:
        error = refused.body["error"]
        param = str(error["param"] or "").replace("input", "messages").replace(".parameters", ".function.parameters")
        raise RefusedError(str(refused), refused.status, {"error": error | {"param": param or None}}) from None


def compact_request(body: Mapping[str, Any]) -> tuple[CompactRequest, list[Item]]:
    """As create_request, for /responses/compact."""
    request = _shaped(CompactRequest, body)
    return request, _items(request, stored=False)


def _shaped(shape: type[Shape], value: object, at: tuple[str | int, ...] = ()) -> Shape:
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        raise of_shape(error.errors(include_url=False)[0], at) from None


def _items(request: Base, *, stored: bool) -> list[Item]:
    if not _MODEL.match(request.model):
        raise refused(f"The requested model '{request.model}' does not exist.", param="model", code="model_not_found")
    if request.previous_response_id:
        raise refused(
            f"Previous response with id '{request.previous_response_id}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    if not request.input:
        raise refused("One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.")
    if isinstance(request.input, str):
        return [InputMessage(role="user", content=request.input)]
    items = [_item(number, value) for number, value in enumerate(request.input)]
    _check_ids(items)
    _check_calls(items)
    _check_reasoning(items, stored=stored)
    return items


def _item(number: int, value: Any) -> Item:
    at = ("input", number)
    if not isinstance(value, dict):
        raise refused(
            f"Invalid type for 'input[{number}]': expected an input item, but got something else instead.",
            param=f"input[{number}]",
            code="invalid_type",
        )
    kind = value.get("type", "message")
    shape = ITEMS.get(kind)
    if kind == "message":
        shape = OutputMessage if value.get("role") == "assistant" else InputMessage
    if shape is None:
        expected = ", ".join(f"'{name}'" for name in ("message", *ITEMS))
        raise invalid_value(kind, f"input[{number}]", {"expected": expected})
    return _shaped(shape, value, at)  # type: ignore[return-value]


def _check_ids(items: list[Item]) -> None:
    seen = set()
    for number, item in enumerate(items):
        if item.id is None:
            continue
        prefix = _PREFIXES.get(item.type, "msg")
        if not item.id.startswith(prefix):
            raise refused(
                f"Invalid 'input[{number}].id': '{item.id}'. Expected an ID that begins with '{prefix}'.",
                param=f"input[{number}].id",
                code="invalid_value",
            )
        if item.id in seen:
            raise refused(
                f"Duplicate item found with id {item.id}. Remove duplicate items from your input and try again.",
                param="input",
            )
        seen.add(item.id)


def _check_calls(items: list[Item]) -> None:
    """Every call must be followed by exactly one output."""
    calls: set[str] = set()
    answered: set[str] = set()
    for item in items:
        if isinstance(item, FunctionCall):
            if item.call_id in calls:
                raise refused(f"Duplicate function call found with id {item.call_id}.", param="input")
            calls.add(item.call_id)
        elif isinstance(item, FunctionCallOutput):
            if item.call_id not in calls:
                raise refused(
                    f"No tool call found for function call output with call_id {item.call_id}.", param="input"
                )
            if item.call_id in answered:
                raise refused(f"Duplicate function call output found for call_id {item.call_id}.", param="input")
            answered.add(item.call_id)
    for call_id in (item.call_id for item in items if isinstance(item, FunctionCall)):
        if call_id not in answered:
            raise refused(f"No tool output found for function call {call_id}.", param="input")


def _check_reasoning(items: list[Item], *, stored: bool) -> None:
    """Reasoning must be followed by its item, and be sealed, because the emulator stores nothing."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        if not isinstance(item, ReasoningItem):
            continue
        if not isinstance(following, OutputMessage | FunctionCall | ReasoningItem):
            raise refused(
                f"Item '{item.id}' of type 'reasoning' was provided without its required following item.",
                param="input",
            )
        if not item.encrypted_content:
            hint = (
                "Items are not persisted when `store` is set to false. Try again with `store` set to true, "
                "or remove this item from your input."
            )
            raise refused(
                f"Item with id '{item.id}' not found." + ("" if stored else f" {hint}"),
                status=404,
                param="input",
            )
