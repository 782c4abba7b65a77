"""Converts a payload of the contract to the domain's. A malformed one is rejected by the name of the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kernel_service.errors import CallerError
from kernel_service.ports import payloads
from kernel_service.ports.payloads import Content, Payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.timestamp_pb2 import Timestamp
    from kernel.v1 import media_pb2, messages_pb2

_YEAR_1: Final = -62_135_596_800
_YEAR_10000: Final = 253_402_300_800
"""Their first seconds, since the epoch. A Timestamp lies between them."""
_SECOND: Final = 10**9
_FILES: Final = {
    each.KIND: each for each in (payloads.Image, payloads.Audio, payloads.Video, payloads.Document, payloads.Sticker)
}


def payload(given: messages_pb2.Payload) -> Payload:
    """Raises `CallerError` FIELD_REQUIRED or FIELD_INVALID."""
    return Payload(
        _content(given),
        caption=given.caption,
        quoted_message_id=given.quoted_message_id,
        sent_at_ns=nanoseconds(given.sent_at, "payload.sent_at") if given.HasField("sent_at") else None,
        forwarded=given.forwarded,
        referral=_referral(given.referral) if given.HasField("referral") else None,
    )


def _content(given: messages_pb2.Payload) -> Content:
    kind = given.WhichOneof("content")
    if kind is None:
        raise CallerError("FIELD_REQUIRED", "`payload` needs one kind of content, as `text`", field="payload")
    if kind == "text" and not given.text:
        raise _missing("payload.text")
    if kind in _FILES:
        return _file(kind, getattr(given, kind))
    return _OTHERS[kind](getattr(given, kind))


_OTHERS: Final[dict[str, Callable[[Any], Content]]] = {
    "text": payloads.Text,
    "location": lambda place: payloads.Location(place.latitude, place.longitude, place.name, place.address),
    "contacts": lambda cards: payloads.Contacts(tuple(map(_contact, cards.contacts))),
    "choice": lambda choice: payloads.Choice(choice.id, choice.title, choice.description, choice.form_json),
    "reaction": lambda reaction: payloads.Reaction(reaction.message_id, reaction.emoji),
    "edit": lambda edit: payloads.Edit(edit.message_id, edit.text),
    "revoke": lambda revoke: payloads.Revoke(revoke.message_id),
    "opened": lambda _: payloads.Opened(),
    "unsupported": lambda what: payloads.Unsupported(what.kind, what.detail),
}


def _file(kind: str, given: media_pb2.Media) -> Content:
    source = given.WhichOneof("source")
    if not given.mime_type:
        raise _missing(f"payload.{kind}.mime_type")
    if source is None:
        raise CallerError("FIELD_REQUIRED", f"`payload.{kind}` needs `data` or `media_ref`", field=f"payload.{kind}")
    return _FILES[kind](
        given.mime_type,
        given.filename,
        data=given.data if source == "data" else None,
        media_ref=given.media_ref if source == "media_ref" else None,
        sha256=given.sha256,
        size_bytes=given.size_bytes,
        voice=given.voice,
    )


def _missing(field: str) -> CallerError:
    return CallerError("FIELD_REQUIRED", f"`{field}` is required", field=field)


def _contact(given: messages_pb2.Contact) -> payloads.Contact:
    return payloads.Contact(given.name, tuple(given.phones), tuple(given.emails), given.organization)


def _referral(given: messages_pb2.Referral) -> payloads.Referral:
    return payloads.Referral(given.kind, given.headline, given.body, given.url)


def nanoseconds(given: Timestamp, field: str) -> int:
    """Since the epoch. Raises `CallerError` FIELD_INVALID."""
    if not (_YEAR_1 <= given.seconds < _YEAR_10000 and 0 <= given.nanos < _SECOND):
        raise CallerError("FIELD_INVALID", f"`{field}` must lie in the years 1 to 9999", field=field)
    return given.seconds * _SECOND + given.nanos
