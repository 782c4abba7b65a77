"""The bodies of webhooks, in Meta's format and with Meta's signature."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from emulators.whatsapp.chat import ChatMessage
from emulators.whatsapp.ids import display_number

ACCOUNT = "102290129340398"
"""The WhatsApp Business Account of all webhooks."""

_ESCAPES = str.maketrans({"/": "\\/", "@": "\\u0040", "<": "\\u003c", "%": "\\u0025"})


class User(Protocol):
    """The author of a message. The BSUID is always known, the number and the username are not."""

    @property
    def name(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def wa_id(self) -> str: ...
    @property
    def username(self) -> str: ...


class Ids(NamedTuple):
    """The former ids of a person."""

    user_id: str
    wa_id: str


def encode(values: Sequence[dict[str, Any]], field: str = "messages", at: int | None = None) -> bytes:
    """One POST with a change for each value. Meta escapes the four characters of `_ESCAPES` and all non-ASCII ones.

    `at` is in Unix seconds. Webhooks about the account have it next to the changes.
    """
    changes = [{"value": value, "field": field} for value in values]
    entry: dict[str, Any] = {"id": ACCOUNT, "changes": changes} | ({} if at is None else {"time": at})
    body = {"object": "whatsapp_business_account", "entry": [entry]}
    return json.dumps(body, separators=(",", ":")).translate(_ESCAPES).encode()


def signature(secret: str, raw: bytes) -> str:
    """The X-Hub-Signature-256 of a body's bytes on the wire."""
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def messages_value(number: str, written: Sequence[tuple[User, ChatMessage]]) -> dict[str, Any]:
    """The messages of one or several people to one business number.

    The contacts are in the opposite order, so that pairing them by position mixes people up.
    """
    contacts = {user.user_id: _contact(user) for user, _ in reversed(written)}
    return _value(number) | {
        "contacts": list(contacts.values()),
        "messages": [_message(user, message) for user, message in written],
    }


def status_value(
    user: User, message: ChatMessage, status: str, at: float, error: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The status of a message to this person. A failed one has no contacts."""
    report: dict[str, Any] = {"id": message.id, "status": status, "timestamp": str(int(at))}
    if user.wa_id:
        report["recipient_id"] = user.wa_id
    if user.user_id:
        report["recipient_user_id"] = user.user_id
    if message.callback:
        report["biz_opaque_callback_data"] = message.callback
    if error is not None:
        return _value(message.number) | {"statuses": [report | {"errors": [error]}]}
    contact = _contact(user)
    del contact["profile"]
    return _value(message.number) | {"contacts": [contact], "statuses": [report]}


def changed_number_value(
    number: str, wamid: str, before: Ids, user: User, *, at: float, tell_previous: bool
) -> dict[str, Any]:
    """The notice of another phone number and BSUID. It has no contacts, and its text contains the person's name."""
    system = {
        "type": "user_changed_number",
        "body": f"User {user.name} changed from {before.wa_id} to {user.wa_id}",
        "wa_id": user.wa_id,
        "user_id": user.user_id,
    }
    if tell_previous:
        system["previous_user_id"] = before.user_id
    notice = {"id": wamid, "from": before.wa_id, "timestamp": str(int(at)), "type": "system", "system": system}
    return _value(number) | {"messages": [notice]}


def _value(number: str) -> dict[str, Any]:
    metadata = {"display_phone_number": display_number(number), "phone_number_id": number}
    return {"messaging_product": "whatsapp", "metadata": metadata}


def _contact(user: User) -> dict[str, Any]:
    profile = {"name": user.name} | ({"username": user.username} if user.username else {})
    contact: dict[str, Any] = {"profile": profile, "user_id": user.user_id}
    return contact | ({"wa_id": user.wa_id} if user.wa_id else {})


def _message(user: User, message: ChatMessage) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "from_user_id": user.user_id,
        "id": message.id,
        "timestamp": str(int(message.at)),
        "type": message.kind,
    }
    if message.content is not None:
        wire[message.kind] = message.content
    if user.wa_id:
        wire["from"] = user.wa_id
    if message.quotes:
        wire["context"] = {"from": display_number(message.number), "id": message.quotes}
    return wire | message.beside
