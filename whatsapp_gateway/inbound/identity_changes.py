"""Notices that WhatsApp gave a person another id. A new phone results in a new business-scoped id.

Shape: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system
"""

from typing import Any, Final

from whatsapp_gateway.inbound.fields import Object, text_in
from whatsapp_gateway.inbound.senders import Ids, aliases_of, read_ids
from whatsapp_gateway.model.updates import Alias, IdentityChange, Ignored, Malformed

_CHANGES: Final = frozenset({"user_changed_user_id", "user_changed_number", "customer_changed_number"})


def read_identity_change(system: Object, old_phone: Any, wamid: str) -> IdentityChange | Ignored | Malformed:
    """The change in a system message. Its `body` holds the person's own words and is never read.

    The best old id is linked to the best new one. A notice without an old id is not trusted. A number may pass to
    another person, so it never permanently replaces an id: then the new id starts as a new person with its first
    message.
    """
    if text_in(system, "type") not in _CHANGES:
        return Ignored("system")
    # If the old id is known, `from` adds nothing: some webhooks contain the new id there.
    before = system.get("previous_user_id") or old_phone
    previous = read_ids(before, system.get("previous_parent_user_id"))
    current = read_ids(system.get("user_id"), system.get("parent_user_id"), _new_phone(system))
    if previous is None or current is None:
        return Malformed("system_unreadable", wamid)
    was, is_now = _best(previous), _best(current)
    if was is None or is_now is None or (was.strong and not is_now.strong):
        return Ignored("system_unlinked")
    return Ignored("system") if was == is_now else IdentityChange(wamid, was, is_now)


def _new_phone(system: Object) -> Any:
    """Notices before v12 of the Graph API use another name."""
    return system.get("wa_id") or system.get("new_wa_id")


def _best(ids: Ids) -> Alias | None:
    return next(iter(aliases_of(ids)), None)
