"""Webhook fields about our account, numbers and templates: alerts for an operator, without personal data.

Shapes: developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference, a page for each field;
`messaging_handovers` as docs.360dialog.com/docs/mba/webhooks describes it. Parsing is lenient: Meta sends some values
also as a list or a number, and adds fields without notice.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from whatsapp_gateway.inbound.fields import Object, object_in, objects_in, text_in
from whatsapp_gateway.model.updates import AccountEvent, Ignored, TemplateWorks

_LONGEST: Final = 200
_MOST_VALUES: Final = 20
_DIGITS: Final = re.compile(r"\+?[0-9][0-9 ().-]{5,}[0-9]")
"""Digits that may be a phone number. Dates are shorter, or recognised by their key."""
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.+Z-]{0,24})?|[0-9]{10}")
_HELD_SECONDS: Final = 3600.0
"""A held chat is reported once per period: otherwise each message there would raise an alert."""
_STANDBY: Final = "WhatsApp's Business Agent holds chats of number {number}: a message there is not answered."
_HANDOVER: Final = "Chats of number {number} pass between us and WhatsApp's Business Agent{what}."
_WHAT_TO_DO: Final = (
    " While it holds a chat, messages come as `standby` only. Switch it off for this number in WhatsApp Manager, or let"
    " it hand over; the side that sends a message takes the chat."
)


@dataclass(frozen=True, slots=True)
class _Field:
    """Paths of the reported values, in order; values of the first path that need no alert; the advice."""

    told: tuple[str, ...]
    calm: frozenset[str] = frozenset()
    advice: str = ""


_TEMPLATE: Final = ("message_template_name", "message_template_language")
TEMPLATE_STATUS: Final = "message_template_status_update"
_WORKS: Final = frozenset({"APPROVED", "REINSTATED"})
_MANAGER: Final = "See WhatsApp Manager"
FIELDS: Final = {
    "account_update": _Field(
        (
            "event",
            "ban_info.waba_ban_state",
            "ban_info.waba_ban_date",
            "violation_info.violation_type",
            "restriction_info.restriction_type",
            "restriction_info.expiration",
            "disconnection_info.reason",
            "disconnection_info.initiated_by",
            "country",
        ),
        advice=f"{_MANAGER}, Account alerts; a ban or restriction can be appealed there",
    ),
    "account_review_update": _Field(("decision",), frozenset({"APPROVED"}), f"{_MANAGER}, Account overview"),
    "account_alerts": _Field(
        (
            "alert_info.alert_severity",
            "alert_info.alert_status",
            "alert_info.alert_type",
            "alert_info.alert_description",
            "alert_severity",
            "alert_status",
            "alert_type",
            "alert_description",
            "entity_type",
        ),
        frozenset({"INFORMATIONAL"}),
        f"{_MANAGER}, Account alerts",
    ),
    "business_capability_update": _Field(
        (
            "max_daily_conversations_per_business",
            "max_daily_conversation_per_phone",
            "max_phone_numbers_per_business",
            "max_phone_numbers_per_waba",
        ),
        advice="The account's limits have changed",
    ),
    "phone_number_quality_update": _Field(
        ("event", "old_limit", "current_limit", "max_daily_conversations_per_business"),
        advice=f"{_MANAGER}, Phone numbers: low quality lowers the limits, and finally blocks a number",
    ),
    "phone_number_name_update": _Field(
        ("decision", "rejection_reason"), frozenset({"APPROVED"}), f"{_MANAGER}, Phone numbers"
    ),
    "security": _Field(("event",), advice="If none of your admins requested it, secure the business account now"),
    TEMPLATE_STATUS: _Field(
        ("event", *_TEMPLATE, "reason", "disable_info.disable_date", "other_info.title", "other_info.description"),
        frozenset({"PENDING"}),
        f"{_MANAGER}, Message templates: paused and rejected templates are not delivered",
    ),
    "message_template_quality_update": _Field(
        ("new_quality_score", "previous_quality_score", *_TEMPLATE),
        frozenset({"GREEN", "UNKNOWN"}),
        f"{_MANAGER}, Message templates: a template of low quality may be paused soon",
    ),
    "template_category_update": _Field(
        ("new_category", "correct_category", "previous_category", *_TEMPLATE),
        advice="Each category has its own price",
    ),
}


def read_account_event(
    change: Object, entry: Object, numbers: Collection[str]
) -> AccountEvent | TemplateWorks | Ignored:
    """The event of a change of any field except `messages`."""
    field, value = text_in(change, "field"), object_in(change, "value")
    if field in _HELD:
        return _HELD[field](value, numbers)
    known = FIELDS.get(field)
    if known is None or not value:
        return Ignored("field")
    if field == TEMPLATE_STATUS and text_in(value, "event") in _WORKS:
        name, language = (text_in(value, path) for path in _TEMPLATE)
        return TemplateWorks(name, language.replace("-", "_"))
    told = [(path, text) for path in known.told if (text := ", ".join(_texts(value, path)))]
    if told and told[0][1] in known.calm:
        return Ignored("field")
    said = ", ".join(f"{path.rpartition('.')[2]} {text}" for path, text in told) or "no known value"
    account = _clean(text_in(entry, "id"), masked=False) or "?"
    key = _digest([account, entry.get("time"), field, value])
    return AccountEvent(field, f"WhatsApp reports about account {account}: {field}: {said}. {known.advice}.", key)


def _standby(value: Object, numbers: Collection[str]) -> AccountEvent | Ignored:
    """This field contains people's messages, so only our own number is read."""
    number = text_in(object_in(value, "metadata"), "phone_number_id")
    return _held("standby", number, _STANDBY.format(number=number or "?"), numbers)


def _handover(value: Object, numbers: Collection[str]) -> AccountEvent | Ignored:
    number = text_in(object_in(value, "recipient"), "phone_number_id")
    number = number or text_in(object_in(value, "metadata"), "phone_number_id")
    kind = _clean(text_in(value, "type"))
    passed = object_in(value, kind)
    roles = (
        f" {side} {role}"
        for side in ("previous_owner", "new_owner")
        if (role := _clean(text_in(passed, f"{side}_role") or text_in(passed, f"{side}_app_role")))
    )
    what = f" ({kind}:{','.join(roles) or ' ?'})" if kind else ""
    return _held("messaging_handovers", number, _HANDOVER.format(number=number or "?", what=what), numbers)


def _held(field: str, number: str, told: str, numbers: Collection[str]) -> AccountEvent | Ignored:
    if number and number not in numbers:
        return Ignored("field")
    return AccountEvent(field, told + _WHAT_TO_DO, f"{field}/{told}", _HELD_SECONDS)


_HELD: Final[dict[str, Callable[[Object, Collection[str]], AccountEvent | Ignored]]] = {
    "standby": _standby,
    "messaging_handovers": _handover,
}


def _texts(value: Object, path: str) -> Iterator[str]:
    *above, last = path.split(".")
    owners = [value]
    for key in above:
        owners = [inner for owner in owners for inner in (object_in(owner, key), *objects_in(owner, key))]
    found = (owner.get(last) for owner in owners)
    flat = (item for one in found for item in (one[:_MOST_VALUES] if isinstance(one, list) else [one]))
    for item in flat:
        if isinstance(item, str | int) and not isinstance(item, bool) and (text := _clean(str(item))):
            yield text


def _clean(text: str, *, masked: bool = True) -> str:
    """One line of limited length, without anything that may be a phone number."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 2 * _LONGEST]).split())
    if masked and not _DATE.fullmatch(line):
        line = _DIGITS.sub("…", line)
    return line[:_LONGEST]


def _digest(parts: list[Any]) -> str:
    try:
        raw = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # it nests too deep, or holds a number of more than 64 bits
        raw = repr(parts[:3]).encode()
    return hashlib.sha256(raw).hexdigest()
