"""Identifies a message's sender by ids that WhatsApp verifies, never by a name or a position."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from whatsapp_gateway.model.updates import Alias, Malformed, Sender

_PREFIX = "whatsapp:"
_ID = re.compile(
    r"(?P<bsuid>[A-Z]{2}\.[A-Za-z0-9]{1,128})|(?P<parent>[A-Z]{2}\.ENT\.[A-Za-z0-9]{1,128})|\+?(?P<phone>[0-9]{5,20})"
)


@dataclass(slots=True)
class Ids:
    """The ids in one place of a webhook; empty: not given.

    bsuid is a person's id within our business portfolio, parent the one within a family of portfolios, phone a number
    that may pass to another person.
    """

    bsuid: str = field(default="", repr=False)
    parent: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)

    def agrees(self, other: "Ids") -> bool:
        """Whether no id of one kind differs."""
        return (
            (self.bsuid == other.bsuid or not (self.bsuid and other.bsuid))
            and (self.parent == other.parent or not (self.parent and other.parent))
            and (self.phone == other.phone or not (self.phone and other.phone))
        )

    def meets(self, other: "Ids") -> bool:
        """Whether they share an id."""
        return bool(
            (self.bsuid and self.bsuid == other.bsuid)
            or (self.parent and self.parent == other.parent)
            or (self.phone and self.phone == other.phone)
        )


def read_ids(*values: Any) -> Ids | None:
    """The ids among these values, distinguished only by their form: some webhooks carry a BSUID in `from`.

    None if one has an unknown form, or two of one kind differ.
    """
    ids: dict[str, str] = {}
    for value in values:
        if value is None or value == "":
            continue
        found = _ID.fullmatch(value) if isinstance(value, str) else None
        if found is None or found.lastgroup is None:
            return None
        text = found[found.lastgroup]
        if ids.setdefault(found.lastgroup, text) != text:
            return None
    return Ids(**ids)


def _union(one: Ids, other: Ids) -> Ids:
    return Ids(one.bsuid or other.bsuid, one.parent or other.parent, one.phone or other.phone)


def read_contacts(contacts: Any) -> list[Ids]:
    """The ids of each contact of a webhook; a malformed contact has none."""
    read: list[Ids] = []
    for contact in contacts if isinstance(contacts, list) else ():
        if isinstance(contact, dict):
            ids = read_ids(contact.get("user_id"), contact.get("parent_user_id"), contact.get("wa_id"))
            if ids is not None:
                read.append(ids)
    return read


def read_sender(message: dict[str, Any], contacts: list[Ids]) -> Sender | Malformed:
    """The sender. `Malformed` if no id identifies them, or if the message and its contact disagree."""
    ids = read_ids(message.get("from_user_id"), message.get("from_parent_user_id"), message.get("from"))
    if ids is None:
        return Malformed("sender_unreadable")
    if contacts != [ids]:
        for contact in _contacts_of(ids, contacts):
            if not contact.agrees(ids):
                return Malformed("sender_contradicted")
            ids = _union(ids, contact)
    # A parent id recognises a person but cannot be written to, so it does not suffice alone.
    if not (ids.bsuid or ids.phone):
        return Malformed("sender_missing")
    aliases = aliases_of(ids)
    return Sender(aliases[0].user_id, tuple(aliases))


def _contacts_of(ids: Ids, contacts: Sequence[Ids]) -> list[Ids]:
    """The contacts with the sender's BSUID, if there are any. Then one that only shares their phone does not count.

    If a person's id changed between two messages of a webhook, it has two contacts for them, both with their phone.
    """
    met = [contact for contact in contacts if contact.meets(ids)]
    return [contact for contact in met if ids.bsuid and contact.bsuid == ids.bsuid] or met


def read_recipient(status: dict[str, Any]) -> tuple[str, ...]:
    """The recipient of a status, by each id in it, the person's key first; empty if it names none."""
    parent = status.get("parent_recipient_user_id") or status.get("recipient_parent_user_id")
    ids = read_ids(status.get("recipient_user_id"), parent, status.get("recipient_id"))
    if ids is None or not (ids.bsuid or ids.phone):
        return ()
    return tuple([_PREFIX + value for value in (ids.bsuid, ids.phone, ids.parent) if value])


def aliases_of(ids: Ids) -> list[Alias]:
    """The person's aliases, the best key first."""
    ranked = ((ids.bsuid, True), (ids.phone, False), (ids.parent, True))
    return [Alias(_PREFIX + value, strong) for value, strong in ranked if value]
