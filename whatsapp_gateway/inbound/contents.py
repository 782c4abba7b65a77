"""The content of a message, by its type. Unknown and unreadable content is `Unsupported`, so that it is still answered.

Types: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from collections.abc import Callable
from typing import Final

from whatsapp_gateway.inbound.attachments import read_contacts, read_location, read_media
from whatsapp_gateway.inbound.choices import read_button, read_interactive, read_order
from whatsapp_gateway.inbound.fields import Object, error_code_in, object_in, text_in
from whatsapp_gateway.model.updates import Content, Edit, Reaction, Revoke, Text, Unsupported

_UNAVAILABLE: Final = "131060"
"""WhatsApp received the message but could not deliver it, such as the first one after an advertisement."""


def read_content(message: Object) -> Content:
    """The content of one item of `messages`."""
    kind = text_in(message, "type")
    reader = _READERS.get(kind)
    if reader is None:
        return _unsupported(kind, message)
    content = reader(message)
    if content is None:
        code = error_code_in(message)
        return Unsupported(kind, f"error_{code}" if code else "unreadable")
    return content


def _unsupported(kind: str, message: Object) -> Unsupported:
    """By its type name, if WhatsApp gives one."""
    code = error_code_in(message)
    told = "unavailable" if code == _UNAVAILABLE else text_in(object_in(message, "unsupported"), "type")
    word = (told if kind == "unsupported" else kind) or kind
    return Unsupported(word[:64] if word.isascii() and word else "unknown", f"error_{code}" if code else "")


def _text(message: Object) -> Text | None:
    body = text_in(message.get("text"), "body")
    return Text(body) if body.strip() else None


def _reaction(message: Object) -> Reaction | None:
    reaction = object_in(message, "reaction")
    message_id = text_in(reaction, "message_id")
    return Reaction(message_id, text_in(reaction, "emoji")) if message_id else None


def _edit(message: Object) -> Edit | None:
    """An edited text, or the caption of an edited picture."""
    edit = object_in(message, "edit")
    now = object_in(edit, "message")
    words = text_in(object_in(now, "text"), "body") or text_in(object_in(now, text_in(now, "type")), "caption")
    changed = Edit(text_in(edit, "original_message_id"), words)
    return changed if changed.message_id and changed.text.strip() else None


def _revoke(message: Object) -> Revoke | None:
    message_id = text_in(object_in(message, "revoke"), "original_message_id")
    return Revoke(message_id) if message_id else None


_READERS: dict[str, Callable[[Object], Content | None]] = {
    "text": _text,
    "image": read_media,
    "audio": read_media,
    "voice": read_media,
    "video": read_media,
    "document": read_media,
    "sticker": read_media,
    "location": read_location,
    "contacts": read_contacts,
    "interactive": read_interactive,
    "button": read_button,
    "order": read_order,
    "reaction": _reaction,
    "edit": _edit,
    "revoke": _revoke,
}
