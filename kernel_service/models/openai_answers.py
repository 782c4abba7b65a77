"""Reads the vendor's answers into a form that can be stored and sent again, and repairs them where possible.

Servers that implement only part of OpenAI's wire leave fields out, send null, send objects for texts, or use one call
id twice. The history keeps the items that the vendor accepts back: messages, calls, compactions, and reasoning with the
item that follows it. Only a body that is not an answer is refused.

Source: openai 3.54, `types/responses`.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.models.openai_refusals import meaning_of, read_failure
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import FILTERED, FunctionCall, ModelAnswer, UnusableAnswerError
from kernel_service.ports.turns import COMPACTION
from kernel_service.storable import from_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_service.models.body import Body

_UNFINISHED: Final = ("queued", "in_progress", "cancelled", "failed")
_LONGEST_CALL_ID: Final = 64
_LONGEST_NAME: Final = 64
_NO_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_MOST_TOKENS: Final = 10**12

Item = dict[str, Any]


def read_answer(raw: bytes | Item, request: Body) -> ModelAnswer:
    """The answer in a response, given as JSON or as its value. `request` is what it answers.

    UnusableAnswerError, and what a failure that is told with HTTP 200 means: VendorUnavailable or ModelRejectedError.
    """
    response = value_of(raw) if isinstance(raw, bytes) else raw
    if not isinstance(response, dict):
        raise UnusableAnswerError(Usage(model_calls=1))
    if failure := read_failure(response):
        raise meaning_of(failure)
    usage = _usage(response.get("usage"))
    if response.get("status") in _UNFINISHED or not isinstance(response.get("output"), list):
        raise UnusableAnswerError(usage)
    return _answer(response, usage, _TakenIds(request))


def value_of(raw: bytes) -> object:
    try:
        return from_json(raw)
    except ValueError:
        raise UnusableAnswerError(Usage(model_calls=1)) from None


def _answer(response: Item, usage: Usage, taken: _TakenIds) -> ModelAnswer:
    items = _with_what_it_led_to([item for each in response["output"] if (item := _mended(each, taken))])
    # It replaces all items before it, but a call must stay beside its result, and an answer in the conversation.
    items.sort(key=lambda item: item["type"] != COMPACTION)
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    refusal = "".join(part["refusal"] for part in parts if part["type"] == "refusal")
    return ModelAnswer(
        items=items,
        text="\n\n".join(part["text"] for part in parts if part["type"] == "output_text" and part["text"]),
        usage=usage,
        calls=[call_of(item) for item in items if item["type"] == "function_call"],
        refusal=refusal or (FILTERED if reason == "content_filter" else ""),
        cut=reason == "max_output_tokens",
    )


def call_of(item: Item) -> FunctionCall:
    """The call that an output item of type `function_call` asks for; one that was cut short has no arguments."""
    return FunctionCall(item["call_id"], item["name"], None if _cut(item) else _arguments(item["arguments"]))


def _cut(item: Item) -> bool:
    return item.get("status") == "incomplete"


def _arguments(written: str) -> dict[str, Any] | None:
    try:
        arguments = from_json(written)
    except ValueError:
        return None
    return arguments if isinstance(arguments, dict) else None


class _TakenIds:
    """The ids of calls and items in the request, and in the answer so far. No item of the request is decoded for it.

    A text of the request that is such an id counts as one, too: then the answer's item gets another.
    """

    def __init__(self, request: Body) -> None:
        self._request = request
        self._answer: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._answer or self._request.holds(orjson.dumps(name))

    def add(self, name: str) -> None:
        self._answer.add(name)


# --- items ------------------------------------------------------------------------------------------------------------


def _mended(item: object, taken: _TakenIds) -> Item | None:
    """The item in a form that the vendor takes back; None: it is of no use to us."""
    if not isinstance(item, dict):
        return None
    dropped = {name for name in ("id", "status") if not _is_name(item.get(name))}
    if "id" not in dropped and item["id"] in taken:
        dropped.add("id")
    kind = item.get("type") or ("message" if "content" in item else "")
    if kind != "function_call":
        dropped.add("call_id")  # it would be taken for a call's
    kept = {name: value for name, value in item.items() if name not in dropped}
    mended = None
    if kind == "message":
        mended = kept | {"type": kind, "role": "assistant", "content": list(_parts(item.get("content")))}
    elif kind == "function_call":
        mended = _mended_call(kept, taken)
    elif kind == "reasoning":
        mended = _mended_reasoning(kept)
    elif kind == COMPACTION and _is_name(item.get("encrypted_content")):
        mended = kept
    if mended is not None and "id" in mended:
        taken.add(mended["id"])
    return mended


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _parts(content: object) -> Iterable[Item]:
    """A message's texts and refusals. One text may stand for a list."""
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            yield _text(part)
        elif isinstance(part, dict) and isinstance(part.get("refusal"), str):
            yield {"type": "refusal", "refusal": part["refusal"]}
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            yield _text(part["text"]) | (part if part.get("type") == "output_text" else {}) | _annotations(part)


def _text(text: str) -> Item:
    return {"type": "output_text", "text": text, "annotations": []}


def _annotations(part: Item) -> Item:
    return {"annotations": _objects(part.get("annotations"))}


def _objects(values: object) -> list[Item]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _mended_call(item: Item, taken: _TakenIds) -> Item | None:
    """A call without a name cannot be made. One whose id is missing, too long or taken gets another."""
    if not _is_name(item.get("name")):
        return None
    call_id = item.get("call_id")
    if not isinstance(call_id, str) or not 0 < len(call_id) <= _LONGEST_CALL_ID or call_id in taken:
        call_id = f"call_{secrets.token_hex(12)}"
    taken.add(call_id)
    name = _NO_NAME.sub("_", item["name"])[:_LONGEST_NAME]
    return item | {"call_id": call_id, "name": name, "arguments": _written(item)}


def _written(item: Item) -> str:
    arguments = item.get("arguments")
    if isinstance(arguments, str):
        return arguments
    return orjson.dumps(arguments if arguments is not None else {}).decode()


def _mended_reasoning(item: Item) -> Item | None:
    """Only what is sealed can come back to a vendor that keeps nothing."""
    if "id" not in item or not _is_name(item.get("encrypted_content")):
        return None
    return item | {"summary": _objects(item.get("summary"))}


def _with_what_it_led_to(items: list[Item]) -> list[Item]:
    """All items but empty messages, and reasoning that nothing follows: the vendor refuses it alone."""
    kept: list[Item] = []
    for item in reversed(items):
        if item["type"] == "message" and not item["content"]:
            continue
        if kept or item["type"] != "reasoning":
            kept.append(item)
    return kept[::-1]


# --- what it cost -----------------------------------------------------------------------------------------------------


def _usage(usage: object) -> Usage:
    """Servers that only resemble OpenAI leave details out, or send null, texts or nonsense."""
    of = usage if isinstance(usage, dict) else {}
    return Usage(
        input_tokens=_count(of, "input_tokens"),
        cached_input_tokens=_count(of.get("input_tokens_details"), "cached_tokens"),
        output_tokens=_count(of, "output_tokens"),
        reasoning_tokens=_count(of.get("output_tokens_details"), "reasoning_tokens"),
        model_calls=1,
    )


def _count(of: object, name: str) -> int:
    value = of.get(name) if isinstance(of, dict) else None
    try:
        return min(max(0, int(value)), _MOST_TOKENS) if isinstance(value, int | float | str) else 0
    except (ValueError, OverflowError):
        return 0
