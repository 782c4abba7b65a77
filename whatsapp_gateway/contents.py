"""What a message says, by its type."""

from collections.abc import Callable
from typing import Any

from whatsapp_gateway.messages import Choice, Content, Edit, Reaction, Revoke, Text, Unsupported

_Object = dict[str, Any]


def text_in(owner: Any, key: str) -> str:
    """The string under a key; empty if there is none."""
    value = owner.get(key) if isinstance(owner, dict) else None
    return value if isinstance(value, str) else ""


def object_in(owner: Any, key: str) -> _Object:
    """The object under a key; empty if there is none."""
    value = owner.get(key) if isinstance(owner, dict) else None
    return value if isinstance(value, dict) else {}


def read_content(message: _Object) -> Content:
    """The content. What is unknown or unreadable is Unsupported: nobody goes unanswered."""
    kind = text_in(message, "type")
    reader = _READERS.get(kind)
    content = reader(object_in(message, kind)) if reader else None
    return content or Unsupported(kind[:64] if kind.isascii() and kind else "unknown", "unreadable" if reader else "")


def _text(text: _Object) -> Text | None:
    body = text_in(text, "body")
    return Text(body) if body else None


def _interactive(interactive: _Object) -> Choice | None:
    kind = text_in(interactive, "type")
    chosen = object_in(interactive, kind) if kind in {"button_reply", "list_reply"} else {}
    choice = Choice(text_in(chosen, "id"), text_in(chosen, "title"), text_in(chosen, "description"))
    return choice if choice.id else None


def _button(button: _Object) -> Choice | None:
    title = text_in(button, "text")
    choice = Choice(text_in(button, "payload") or title, title)
    return choice if choice.id else None


def _reaction(reaction: _Object) -> Reaction | None:
    message_id = text_in(reaction, "message_id")
    return Reaction(message_id, text_in(reaction, "emoji")) if message_id else None


def _edit(edit: _Object) -> Edit | None:
    changed = Edit(text_in(edit, "original_message_id"), text_in(object_in(object_in(edit, "message"), "text"), "body"))
    return changed if changed.message_id and changed.text else None


def _revoke(revoke: _Object) -> Revoke | None:
    message_id = text_in(revoke, "original_message_id")
    return Revoke(message_id) if message_id else None


_READERS: dict[str, Callable[[_Object], Content | None]] = {
    "text": _text,
    "interactive": _interactive,
    "button": _button,
    "reaction": _reaction,
    "edit": _edit,
    "revoke": _revoke,
}
