"""The JSON form of a payload, as `message.payload` and the parked requests hold it.

It is the contract's `Payload` in protobuf's JSON, under the proto's field names. Fields with their default value are
omitted, bytes are base64, 64-bit integers are text, times are RFC 3339. The digest that identifies a redelivered
message is computed from this form, so the form never changes. The service's own messages have further kinds.
"""

from __future__ import annotations

import base64
import math
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kernel_service.ports import payloads
from kernel_service.ports.payloads import Contact, Contacts, Content, File, Payload, Referral, Text, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

_FILES: Final = {
    each.KIND: each for each in (payloads.Image, payloads.Audio, payloads.Video, payloads.Document, payloads.Sticker)
}
_FLAT: Final[dict[str, Any]] = {
    each.KIND: each
    for each in (
        payloads.Location,
        payloads.Choice,
        payloads.Reaction,
        payloads.Edit,
        payloads.Revoke,
        payloads.Unsupported,
        payloads.Opened,
        payloads.Scheduled,
        payloads.Triggered,
    )
}
"""Kinds that have only simple fields, by their stored names."""
_KINDS: Final = frozenset({Text.KIND, Contacts.KIND, *_FILES, *_FLAT})
_BESIDE: Final = frozenset({"caption", "quoted_message_id", "sent_at", "forwarded", "referral", "code"})

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


# --- written ----------------------------------------------------------------------------------------------------------


def to_stored(payload: Payload) -> dict[str, Any]:
    """The payload as JSON values."""
    beside = {
        "caption": payload.caption or None,
        "quoted_message_id": payload.quoted_message_id or None,
        "sent_at": None if payload.sent_at_ns is None else _time(payload.sent_at_ns),
        "forwarded": payload.forwarded or None,
        "referral": None if payload.referral is None else _flat(payload.referral),
        "code": payload.code or None,
    }
    present = {name: value for name, value in beside.items() if value is not None}
    return {payload.content.KIND: _content(payload.content), **present}


def _content(content: Content) -> Any:
    match content:
        case Text(text):
            return text
        case File():
            return _file(content)
        case Contacts(contacts):
            return {"contacts": [_flat(each) for each in contacts]} if contacts else {}
        case _:
            return _flat(content)


def _file(file: File) -> dict[str, Any]:
    held = {
        "mime_type": file.mime_type or None,
        "filename": file.filename or None,
        "data": None if file.data is None else _base64(file.data),
        "media_ref": file.media_ref,
        "sha256": _base64(file.sha256) or None,
        "size_bytes": str(file.size_bytes) if file.size_bytes else None,
        "voice": file.voice or None,
        "media_id": file.media_id or None,
        "transcript": file.transcript,
    }
    return {name: value for name, value in held.items() if value is not None}


def _flat(value: Any) -> dict[str, Any]:
    return {each.name: _plain(held) for each in fields(value) if not _is_default(held := getattr(value, each.name))}


def _is_default(value: object) -> bool:
    """By protobuf's rules: negative zero is not the default."""
    return not value and not (isinstance(value, float) and math.copysign(1, value) < 0)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return list(value) if isinstance(value, tuple) else value


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _time(nanoseconds: int) -> str:
    """RFC 3339 in UTC, with 0, 3, 6 or 9 digits of a second."""
    seconds, nanos = divmod(nanoseconds, 10**9)
    whole = (_EPOCH + seconds * _SECOND).replace(tzinfo=None).isoformat()
    digits = f"{nanos:09}" if nanos % 1000 else f"{nanos // 1000:06}" if nanos % 10**6 else f"{nanos // 10**6:03}"
    return f"{whole}.{digits}Z" if nanos else f"{whole}Z"


# --- read -------------------------------------------------------------------------------------------------------------


def from_stored(stored: Mapping[str, Any]) -> Payload:
    """The payload. An unknown kind becomes `Unsupported`. Raises `ValueError` if the value is not a payload."""
    try:
        return Payload(
            _read_content(stored),
            caption=str(stored.get("caption", "")),
            quoted_message_id=str(stored.get("quoted_message_id", "")),
            sent_at_ns=_read_time(stored["sent_at"]) if "sent_at" in stored else None,
            forwarded=bool(stored.get("forwarded")),
            referral=_read_flat(Referral, stored["referral"]) if "referral" in stored else None,
            code=str(stored.get("code", "")),
        )
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        raise ValueError("the stored payload has another form") from error


def _read_content(stored: Mapping[str, Any]) -> Content:
    kind = next((name for name in stored if name in _KINDS), "")
    if kind == Text.KIND:
        return Text(str(stored[kind]))
    if kind == Contacts.KIND:
        return Contacts(tuple(_read_flat(Contact, each) for each in stored[kind].get("contacts", ())))
    if kind in _FILES:
        return _FILES[kind](**_read_file(stored[kind]))
    if kind in _FLAT:
        content: Content = _read_flat(_FLAT[kind], stored[kind])
        return content
    unknown = next((name for name in stored if name not in _BESIDE), None)
    if unknown is None:
        raise ValueError("it holds no content")
    return Unsupported(unknown)


_FILE_FIELDS: Final[dict[str, Callable[[Any], Any]]] = {
    "mime_type": str,
    "filename": str,
    "data": base64.b64decode,
    "media_ref": str,
    "sha256": base64.b64decode,
    "size_bytes": int,
    "voice": bool,
    "media_id": str,
    "transcript": str,
}


def _read_file(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _FILE_FIELDS[name](value) for name, value in stored.items() if name in _FILE_FIELDS}


def _read_flat(kind: type[T], stored: Mapping[str, Any]) -> T:
    """Each field, converted to the type of its default; unknown fields are ignored."""
    known: Any = fields(kind)  # type: ignore[arg-type]
    return kind(**{each.name: type(each.default)(stored[each.name]) for each in known if each.name in stored})


def _read_time(text: str) -> int | None:
    """Nanoseconds since the epoch; None: not a valid time."""
    whole, _, digits = text.removesuffix("Z").partition(".")
    try:
        moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
        return (moment - _EPOCH) // _SECOND * 10**9 + int(digits.ljust(9, "0"))
    except ValueError:
        return None
