"""Converts a stored message's content to the contract, the reverse of `payloads`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from kernel.v1 import export_pb2, media_pb2, messages_pb2

from kernel_service.api import converters
from kernel_service.api.schedules import SHOWN_KINDS
from kernel_service.ports import payloads

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Content, File, Payload, Scheduled, Triggered

_SECOND: Final = 10**9
_FLAT: Final[dict[type[Any], Any]] = {
    payloads.Location: messages_pb2.Location,
    payloads.Choice: messages_pb2.Choice,
    payloads.Reaction: messages_pb2.Reaction,
    payloads.Edit: messages_pb2.Edit,
    payloads.Revoke: messages_pb2.Revoke,
    payloads.Unsupported: messages_pb2.Unsupported,
}


def payload(given: Payload) -> messages_pb2.Payload:
    """Of a person's own message. The connect code that the service found in it is left out."""
    return messages_pb2.Payload(
        **{given.content.KIND: _content(given.content)},
        caption=given.caption,
        quoted_message_id=given.quoted_message_id,
        sent_at=_time(given.sent_at_ns),
        forwarded=given.forwarded,
        referral=messages_pb2.Referral(**asdict(given.referral)) if given.referral else None,
    )


def _content(content: Content) -> Any:
    match content:
        case payloads.Text(text):
            return text
        case payloads.File():
            return _media(content)
        case payloads.Contacts(contacts):
            return messages_pb2.Contacts(contacts=[messages_pb2.Contact(**asdict(each)) for each in contacts])
        case payloads.Opened():
            return messages_pb2.Opened()
        case _:
            return _FLAT[type(content)](**asdict(content))


def _media(file: File) -> media_pb2.Media:
    source: dict[str, Any] = {"media_ref": file.media_ref} if file.data is None else {"data": file.data}
    return media_pb2.Media(
        **source,
        mime_type=file.mime_type,
        filename=file.filename,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        voice=file.voice,
    )


def _time(nanoseconds: int | None) -> Timestamp | None:
    if nanoseconds is None:
        return None
    seconds, nanos = divmod(nanoseconds, _SECOND)
    return Timestamp(seconds=seconds, nanos=nanos)


def run(given: Scheduled) -> export_pb2.ExportedRun:
    return export_pb2.ExportedRun(
        schedule_id=given.schedule_id,
        kind=SHOWN_KINDS[given.kind],
        request=given.request,
        due_at=converters.timestamp(given.due_at),
        time_zone=given.time_zone,
    )


def events(given: Triggered) -> export_pb2.ExportedEvents:
    return export_pb2.ExportedEvents(
        trigger_id=given.trigger_id,
        account=given.toolkit,
        name=given.name,
        request=given.request,
        events_json=given.events,
    )
