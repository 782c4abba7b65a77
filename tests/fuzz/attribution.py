"""An independent check of a message's sender, written from the rules and not from the code."""

from collections.abc import Iterator
from typing import Any

from whatsapp_gateway.model.updates import Message


def is_vouched_for(message: Message, body: Any) -> bool:
    """Whether an item of the body with this id names the attributed sender.

    A contact next to the item may name them instead, if it contains one of the item's ids.
    """
    key = message.sender.user_id.removeprefix("whatsapp:")
    return any(
        key in own or any(key in ids and own & ids for ids in contacts) for own, contacts in _items(body, message.id)
    )


def _items(body: Any, wamid: str) -> Iterator[tuple[set[str], list[set[str]]]]:
    """The ids in each message of this wamid, and those in each contact next to it."""
    for value in _values(body):
        contacts = [_texts(contact, "user_id", "parent_user_id", "wa_id") for contact in _dicts(value.get("contacts"))]
        for item in _dicts(value.get("messages")):
            if item.get("id") == wamid:
                yield _texts(item, "from_user_id", "from_parent_user_id", "from"), contacts


def _values(body: Any) -> Iterator[dict[str, Any]]:
    for entry in _dicts(body.get("entry") if isinstance(body, dict) else None):
        for change in _dicts(entry.get("changes")):
            if isinstance(change.get("value"), dict):
                yield change["value"]


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _texts(owner: dict[str, Any], *keys: str) -> set[str]:
    """The texts under these keys. A phone number counts with and without its plus."""
    return {owner[key].removeprefix("+") for key in keys if isinstance(owner.get(key), str) and owner[key]}
