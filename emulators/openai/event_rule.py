"""Tells the person of events that they wait for, and of schedules. It obeys mails, as a careless model does."""

import re
from typing import Any

import orjson

_EVENT = re.compile(
    r"^\[Something happened in [^\]]+\]\n.*^\[The event follows [^\]]*\]\n(?P<data>.*)", re.DOTALL | re.MULTILINE
)
_DUE = re.compile(r"^\[A schedule that the person set is due[^\]]*\]\n(.*?)(?:\n\[Due on [^\]]*\])?$", re.DOTALL)


def requests_in(text: str) -> str:
    """The part of a message that may ask for something: of an event its data, of a due schedule its request."""
    found = _EVENT.match(text)
    if found is None:
        return _DUE.sub(r"\1", text)
    return "\n".join(str(mail.get("message_text", "")) for mail in _events(found["data"]))


def told(text: str) -> str:
    """An event or a due schedule in words; empty: the message is neither."""
    if due := _DUE.match(text):
        return f"It is time for this: “{due[1]}”"
    found = _EVENT.match(text)
    return "\n".join(_in_words(event) for event in _events(found["data"])) if found else ""


def _events(data: str) -> list[dict[str, Any]]:
    try:
        events = orjson.loads(data)
    except orjson.JSONDecodeError:
        return []
    return [event for event in events if isinstance(event, dict)] if isinstance(events, list) else []


def _in_words(event: dict[str, Any]) -> str:
    if "sender" not in event:
        return "Something new has arrived in your account."
    return f"A mail from {event['sender']} has arrived: “{event.get('subject', '')}”."
