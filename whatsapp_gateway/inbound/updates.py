"""Converts the JSON of a webhook to updates. A malformed item never affects the valid items next to it.

Shapes: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

import logging
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from whatsapp_gateway.inbound.account_events import read_account_event
from whatsapp_gateway.inbound.contents import read_content
from whatsapp_gateway.inbound.fields import Object, error_code_in, object_in, text_in, texts_in
from whatsapp_gateway.inbound.identity_changes import read_identity_change
from whatsapp_gateway.inbound.referrals import is_forwarded, read_referral
from whatsapp_gateway.inbound.senders import Ids, read_contacts, read_recipient, read_sender
from whatsapp_gateway.model.updates import AccountError, Ignored, Malformed, Message, Status, Update

logger = logging.getLogger(__name__)

_STATES = frozenset({"sent", "delivered", "read", "played", "failed"})
_LONGEST_SECONDS = 11
"""Digits."""
_NOT_DIGITS = re.compile(r"[^0-9]+")
_LONGEST_PHONE = 15
"""Digits, by E.164."""


def read_updates(body: Any, numbers: Collection[str]) -> list[Update]:
    """All updates of a webhook for the owner of these phone number ids, in its order.

    Never raises: an item that cannot be processed becomes `Malformed`.
    """
    updates: list[Update] = []
    for entry in _objects(body, "entry"):
        if isinstance(entry, Malformed):
            updates.append(entry)
            continue
        for change in _objects(entry, "changes"):
            if isinstance(change, Malformed):
                updates.append(change)
            elif change.get("field") == "messages":
                updates += _messages_field(object_in(change, "value"), numbers)
            else:
                updates.append(_read(read_account_event, change, entry, numbers))
    return updates


def _objects(owner: Any, key: str) -> list[Object | Malformed]:
    """The objects of the list under a key, and a `Malformed` for each other value."""
    items = owner.get(key) if isinstance(owner, dict) else None
    if not isinstance(items, list):
        return [Malformed(f"{key}_missing")]
    if len(items) == 1 and isinstance(items[0], dict):  # as nearly always
        return items
    return [item if isinstance(item, dict) else Malformed(f"{key}_odd") for item in items]


def _messages_field(value: Object, numbers: Collection[str]) -> list[Update]:
    """The updates of one change of the field `messages`, which brings statuses as well."""
    number, display = texts_in(value.get("metadata"), "phone_number_id", "display_phone_number")
    owned = number in numbers
    updates: list[Update] = []
    if "messages" in value:
        phone = _NOT_DIGITS.sub("", display)[:_LONGEST_PHONE]
        contacts = read_contacts(value.get("contacts"))
        updates += _items(value, "messages", _message, number, phone, contacts, owned=owned)
    if "statuses" in value:
        updates += _items(value, "statuses", _status, number, owned=owned)
    if "messages" not in value and "statuses" not in value:
        updates.append(AccountError(error_code_in(value)) if "errors" in value else Malformed("value_odd"))
    return updates


def _items(
    value: Object, key: str, reader: Callable[..., Update], number: str, *context: Any, owned: bool
) -> Iterator[Update]:
    for item in _objects(value, key):
        if isinstance(item, Malformed):
            yield item
        elif not owned:
            yield Malformed("number_foreign", text_in(item, "id"))
        else:
            yield _read(reader, item, number, *context)


def _read(reader: Callable[..., Update], item: Object, *context: Any) -> Update:
    """An unexpected exception of a reader is a bug, and affects only that item."""
    try:
        return reader(item, *context)
    except Exception as fault:  # noqa: BLE001 - to fail the webhook would be to get all of it again for days
        logger.error("fault while reading an item of a webhook: %s", type(fault).__name__)  # noqa: TRY400
        return Malformed("fault", text_in(item, "id"))


def _message(item: Object, number: str, phone: str, contacts: list[Ids]) -> Update:
    wamid = text_in(item, "id")
    if not wamid:
        return Malformed("id_missing")
    # In a group, a personal assistant's answers would disclose the person's data to others.
    if item.get("group_id") is not None:
        return Malformed("group", wamid)
    if item.get("type") == "system":
        return read_identity_change(object_in(item, "system"), item.get("from"), wamid)
    sender = read_sender(item, contacts)
    if isinstance(sender, Malformed):
        return Malformed(sender.reason, wamid)
    has_context = "context" in item
    return Message(
        number,
        wamid,
        sender,
        read_content(item),
        text_in(item["context"], "id") if has_context else "",
        _seconds(item.get("timestamp")),
        has_context and is_forwarded(item),
        read_referral(item) if has_context or "referral" in item else None,
        phone,
    )


def _status(item: Object, number: str) -> Update:
    state, wamid, callback_id = texts_in(item, "status", "id", "biz_opaque_callback_data")
    if state not in _STATES:
        return Ignored("status") if state else Malformed("status_missing")
    status = Status(
        wamid,
        callback_id,
        state,
        error_code_in(item) if state == "failed" else "",
        _seconds(item.get("timestamp")),
        number,
        read_recipient(item),
    )
    return status if wamid or callback_id else Malformed("status_unnamed")


def _seconds(value: Any) -> int | None:
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if len(text) <= _LONGEST_SECONDS and text.isascii() and text.isdigit() else None
