"""Names of the faults in the form of an answer. They are safe to log: none holds a word of the answer."""

from __future__ import annotations

from typing import Any, Final

EMPTY_BODY: Final = "empty_body"
HTML: Final = "html"
EVENT_STREAM: Final = "event_stream"
NOT_JSON: Final = "not_json"
NO_OBJECT: Final = "no_object"
BAD_EVENT: Final = "event_of_wrong_form"
BAD_GENERATION: Final = "call_unreadable_to_the_server"
TOO_LARGE: Final = "too_large"
NOT_OPUS: Final = "not_opus"
NO_CHOICE: Final = "choices_empty"
BAD_CHOICE: Final = "choice_of_wrong_type"
UNFINISHED: Final = "unfinished"
NO_ITEMS: Final = "no_items"
REASONING_ALONE: Final = "reasoning_alone"
UNKNOWN_ITEMS: Final = "unknown_items"
NO_CONTENT: Final = "no_content"
BLANK_TEXT: Final = "blank_text"
BAD_CONTENT: Final = "content_of_wrong_type"


def of_text(raw: bytes) -> str:
    """Of a body that is neither JSON nor a stream of events."""
    begun = raw[:64].lstrip()
    if not begun:
        return EMPTY_BODY
    return HTML if begun.startswith(b"<") else NOT_JSON


def of_field(owner: dict[str, Any], name: str) -> str:
    """Of an object whose field lacks its type, as `no_choices`, `choices_null`, `choices_of_wrong_type`."""
    if name not in owner:
        return f"no_{name}"
    return f"{name}_null" if owner[name] is None else f"{name}_of_wrong_type"


def of_output(output: list[object]) -> str:
    """Of items in which nothing is said and nothing called."""
    kinds = [item.get("type") if isinstance(item, dict) else None for item in output]
    if not kinds:
        return NO_ITEMS
    contents = [item.get("content") for item in output if isinstance(item, dict) and item.get("type") == "message"]
    if contents:
        return _of_contents(contents)
    return REASONING_ALONE if all(kind == "reasoning" for kind in kinds) else UNKNOWN_ITEMS


def _of_contents(contents: list[Any]) -> str:
    """Of the contents of messages."""
    parts = [part for content in contents for part in (content if isinstance(content, list) else [content])]
    if all(part is None for part in parts):
        return NO_CONTENT
    return BLANK_TEXT if any(map(_is_text, parts)) else BAD_CONTENT


def _is_text(part: object) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and isinstance(part.get("text"), str))
