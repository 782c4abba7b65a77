"""Converts the JSON of a webhook to updates. A malformed item never affects the valid items next to it.

Shapes: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

import logging
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from whatsapp_gateway.inbound.account_events import read_account_event
from whatsapp_gateway.inbound.contents import read_content
from whatsapp_gateway.inbound.fields import Object, error_code_in, object_in, text_in
from whatsapp_gateway.inbound.identity_changes import read_identity_change
from whatsapp_gateway.inbound.referrals import is_forwarded, read_referral
from whatsapp_gateway.inbound.senders import Ids, read_contacts, read_recipient, read_sender
from whatsapp_gateway.model.updates import AccountError, Ignored, Malformed, Message, Sender, Status, Update

logger = logging.getLogger(__name__)

_STATES = frozenset({"sent", "delivered", "read", "played", "failed"})
_SECONDS = re.compile(r"[0-9]{1,11}")
_NOT_DIGITS = re.compile(r"[^0-9]+")
_LONGEST_PHONE = 15
"""Digits, by E.164."""


def read_updates(body: Any, numbers: Collection[str]) -> Iterator[Update]:
    """All updates of a webhook for the owner of these phone number ids, in its order.

    Never raises: an item that cannot be processed becomes `Malformed`.
    """
    for entry in _objects(body, "entry"):
        if isinstance(entry, Malformed):
            yield entry
            continue
        for change in _objects(entry, "changes"):
            yield from _change(change, entry, numbers) if isinstance(change, dict) else (change,)


def _objects(owner: Any, key: str) -> Iterator[Object | Malformed]:
    """The objects of the list under a key, and a `Malformed` for each other value."""
    items = owner.get(key) if isinstance(owner, dict) else None
    if not isinstance(items, list):
        yield Malformed(f"{key}_missing")
        return
    for item in items:
        yield item if isinstance(item, dict) else Malformed(f"{key}_odd")


def _change(change: Object, entry: Object, numbers: Collection[str]) -> Iterator[Update]:
    if change.get("field") != "messages":
        yield _read(lambda item: read_account_event(item, entry, numbers), change)
        return
    value = object_in(change, "value")
    metadata = object_in(value, "metadata")
    number = text_in(metadata, "phone_number_id")
    owned = number in numbers
    if "messages" in value:
        phone = _NOT_DIGITS.sub("", text_in(metadata, "display_phone_number"))[:_LONGEST_PHONE]
        contacts = read_contacts(value.get("contacts"))
        yield from _items(value, "messages", lambda item: _message(item, number, phone, contacts), owned=owned)
    if "statuses" in value:
        yield from _items(value, "statuses", lambda item: _status(item, number), owned=owned)
    if "messages" not in value and "statuses" not in value:
        yield AccountError(error_code_in(value)) if "errors" in value else Malformed("value_odd")


def _items(value: Object, key: str, reader: Callable[[Object], Update], *, owned: bool) -> Iterator[Update]:
    for item in _objects(value, key):
        if isinstance(item, Malformed):
            yield item
        elif not owned:
            yield Malformed("number_foreign", text_in(item, "id"))
        else:
            yield _read(reader, item)


def _read(reader: Callable[[Object], Update], item: Object) -> Update:
    """An unexpected exception of a reader is a bug, and affects only that item."""
    try:
        return reader(item)
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
    if not isinstance(sender, Sender):
        return Malformed(sender.reason, wamid)
    return Message(
        number,
        wamid,
        sender,
        read_content(item),
        text_in(object_in(item, "context"), "id"),
        _seconds(item.get("timestamp")),
        is_forwarded(item),
        read_referral(item),
        phone,
    )


def _status(item: Object, number: str) -> Update:
    state = text_in(item, "status")
    if state not in _STATES:
        return Ignored("status") if state else Malformed("status_missing")
    status = Status(
        text_in(item, "id"),
        text_in(item, "biz_opaque_callback_data"),
        state,
        error_code_in(item) if state == "failed" else "",
        _seconds(item.get("timestamp")),
        number,
        read_recipient(item),
    )
    return status if status.wamid or status.callback_id else Malformed("status_unnamed")


def _seconds(value: Any) -> int | None:
    match = _SECONDS.fullmatch(str(value)) if isinstance(value, int | str) else None
    return int(match[0]) if match else None
