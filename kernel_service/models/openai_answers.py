"""Reads the vendor's answers into a form that can be stored and sent again, and repairs them where possible.

Servers that implement only part of OpenAI's wire leave fields out, send null, send objects for texts, or use one call
id twice. The history keeps the items that the vendor accepts back: messages, calls, compactions, and reasoning with the
item that follows it. Only a body that is not an answer is refused.

Source: openai 3.54, `types/responses`.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from kernel_service.models import flaws
from kernel_service.models.openai_refusals import bare_error, meaning_of, read_failure
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import FILTERED, FunctionCall, ModelAnswer, UnusableAnswerError
from kernel_service.ports.turns import COMPACTION
from kernel_service.storable import from_json

if TYPE_CHECKING:
    from kernel_service.models.body import Body

_UNFINISHED: Final = ("queued", "in_progress", "cancelled", "failed")
_LONGEST_CALL_ID: Final = 64
_LONGEST_NAME: Final = 64
_NO_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_MOST_TOKENS: Final = 10_000_000
"""More than any model reads or writes in one request. A count beyond it says nothing."""

Item = dict[str, Any]


def read_answer(raw: bytes | Item, body: Body) -> ModelAnswer:
    """The answer in a response, given as JSON or as its value, to the request that was sent as this body.

    UnusableAnswerError, and for a failure with HTTP 200: VendorUnavailable or ModelRejectedError.
    """
    response = value_of(raw) if isinstance(raw, bytes) else raw
    if not isinstance(response, dict):
        raise UnusableAnswerError(Usage(model_calls=1), flaws.NO_OBJECT)
    error = response.get("error") or bare_error(response)
    if error and (failure := read_failure(response | {"error": error})):
        raise meaning_of(failure)
    usage = _usage(response.get("usage"))
    if response.get("status") in _UNFINISHED:
        raise UnusableAnswerError(usage, flaws.UNFINISHED)
    if not isinstance(response.get("output"), list):
        raise UnusableAnswerError(usage, flaws.of_field(response, "output"))
    return _answer(response, usage, _TakenIds(body))


def value_of(raw: bytes) -> object:
    try:
        return from_json(raw)
    except ValueError:
        raise UnusableAnswerError(Usage(model_calls=1), flaws.of_text(raw)) from None


def _answer(response: Item, usage: Usage, taken: _TakenIds) -> ModelAnswer:
    items = _items(response["output"], taken)
    texts, refusals, calls = _sorted(items)
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    answer = ModelAnswer(
        items=items,
        text="\n\n".join(texts),
        usage=usage,
        calls=calls,
        refusal="".join(refusals) or (FILTERED if reason == "content_filter" else ""),
        cut=reason == "max_output_tokens",
    )
    return replace(answer, flaw=flaws.of_output(response["output"])) if answer.says_nothing else answer


def _sorted(items: list[Item]) -> tuple[list[str], list[str], list[FunctionCall]]:
    """The texts, the refusals and the calls in the items."""
    texts: list[str] = []
    refusals: list[str] = []
    calls: list[FunctionCall] = []
    for item in items:
        if item["type"] == "function_call":
            calls.append(call_of(item))
        for part in item["content"] if item["type"] == "message" else ():
            if part["type"] == "refusal":
                refusals.append(part["refusal"])
            elif part["text"]:
                texts.append(part["text"])
    return texts, refusals, calls


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
        self.of_answer: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.of_answer or self._request.holds(orjson.dumps(name))


# --- items ------------------------------------------------------------------------------------------------------------


def _items(output: list[object], taken: _TakenIds) -> list[Item]:
    """All items but empty messages, and reasoning that nothing follows: the vendor refuses it alone.

    A compaction comes first: it replaces all items before it, but a call must stay beside its result, and an answer in
    the conversation.
    """
    kept: list[Item] = []
    compactions: list[Item] = []
    for item in reversed([item for each in output if (item := _repaired(each, taken))]):
        kind = item["type"]
        if kind == COMPACTION:
            compactions.append(item)
        elif kind == "message" and not item["content"]:
            continue
        elif kind != "reasoning" or kept or compactions:
            kept.append(item)
    return compactions[::-1] + kept[::-1]


def _repaired(item: object, taken: _TakenIds) -> Item | None:
    """The item in a form that the vendor accepts back. None: it is to be ignored."""
    if not isinstance(item, dict):
        return None
    kind = item.get("type") or ("message" if "content" in item else "")
    kept = item.copy()
    for name in ("id", "status"):
        value = kept.get(name)
        if not value or not isinstance(value, str) or (name == "id" and value in taken):
            kept.pop(name, None)
    if kind != "function_call":
        kept.pop("call_id", None)  # otherwise it would pass as a call's
    repaired = None
    if kind == "message":
        repaired = kept | {"type": kind, "role": "assistant", "content": _parts(item.get("content"))}
    elif kind == "function_call":
        repaired = _repaired_call(kept, taken)
    elif kind == "reasoning":
        repaired = _repaired_reasoning(kept)
    elif kind == COMPACTION and _is_name(item.get("encrypted_content")):
        repaired = kept
    if repaired is not None and "id" in repaired:
        taken.of_answer.add(repaired["id"])
    return repaired


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _parts(content: object) -> list[Item]:
    """A message's texts and refusals. One text may replace a list."""
    parts: list[Item] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            parts.append({"type": "output_text", "text": part, "annotations": []})
        elif isinstance(part, dict) and isinstance(part.get("refusal"), str):
            parts.append({"type": "refusal", "refusal": part["refusal"]})
        elif isinstance(part, dict) and isinstance(text := part.get("text"), str):
            of_vendor = part if part.get("type") == "output_text" else {"type": "output_text", "text": text}
            parts.append(of_vendor | {"annotations": _objects(part.get("annotations"))})
    return parts


def _objects(values: object) -> list[Item]:
    if not values or not isinstance(values, list):
        return []
    return [value for value in values if isinstance(value, dict)]


def _repaired_call(item: Item, taken: _TakenIds) -> Item | None:
    """The call; None: it has no name. A call with an id that is missing, too long or taken gets another."""
    if not _is_name(item.get("name")):
        return None
    call_id = item.get("call_id")
    if not isinstance(call_id, str) or not 0 < len(call_id) <= _LONGEST_CALL_ID or call_id in taken:
        call_id = f"call_{secrets.token_hex(12)}"
    taken.of_answer.add(call_id)
    name = _NO_NAME.sub("_", _without_channel(item["name"]))[:_LONGEST_NAME]
    return item | {"call_id": call_id, "name": name, "arguments": _written(item)}


def _without_channel(name: str) -> str:
    """Servers leave tokens of gpt-oss at the name, as in `functions.look<|channel|>commentary`."""
    plain = name.partition("<|")[0].strip().removeprefix("functions.")
    return plain or name


def _written(item: Item) -> str:
    """Servers send an empty text for a call without arguments, and vLLM encodes those of Granite twice."""
    arguments = item.get("arguments")
    if isinstance(arguments, str) and arguments.lstrip().startswith('"'):
        arguments = _decoded(arguments)
    if isinstance(arguments, str):
        return arguments if arguments.strip() else "{}"
    return orjson.dumps(arguments if arguments is not None else {}).decode()


def _decoded(written: str) -> str:
    try:
        inner = from_json(written)
    except ValueError:
        return written
    return inner if isinstance(inner, str) and inner.lstrip().startswith("{") else written


def _repaired_reasoning(item: Item) -> Item | None:
    """Only encrypted reasoning can be sent back to a vendor that stores nothing."""
    if "id" not in item or not _is_name(item.get("encrypted_content")):
        return None
    return item | {"summary": _objects(item.get("summary"))}


# --- the costs -----------------------------------------------------------------------------------------------------


def _usage(usage: object) -> Usage:
    """Compatible servers leave details out, or send null, texts or impossible numbers."""
    counts = []
    for within, name in _COUNTS:
        of = usage.get(within) if within and isinstance(usage, dict) else usage
        value = of.get(name) if isinstance(of, dict) else None
        counts.append(value if type(value) is int and 0 <= value <= _MOST_TOKENS else _repaired_count(value))
    input_tokens, cached, output_tokens, reasoning = counts
    return Usage(input_tokens, cached, output_tokens, reasoning, model_calls=1)


_COUNTS: Final = (
    ("", "input_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("", "output_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
)
"""The enclosing object and the name of each count."""


def _repaired_count(value: object) -> int:
    """0: it says nothing."""
    try:
        count = int(value) if isinstance(value, int | float | str) else 0
    except (ValueError, OverflowError):
        return 0
    return count if 0 < count <= _MOST_TOKENS else 0
