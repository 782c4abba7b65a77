"""Converts between protobuf and the domain's values. A malformed value is rejected by the name of its field."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from kernel.v1 import identity_pb2, media_pb2, messages_pb2

from kernel_service.api.payloads import payload
from kernel_service.errors import CallerError
from kernel_service.ports.messages import Alias, Message, MessageStatus, ReplyMode
from kernel_service.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_service.ports.messages import Answer, Link, ReplyChoice, ReplyFile, StoredReply, Usage
    from kernel_service.ports.people import LinkOutcome

MAX_CHANNEL_SHOWN = 40

log = logging.getLogger(__name__)

_STRENGTHS = {identity_pb2.ALIAS_STRENGTH_STRONG: True, identity_pb2.ALIAS_STRENGTH_WEAK: False}
_REPLY_MODES = frozenset(messages_pb2.ReplyMode.values())
_STATUSES = {status: messages_pb2.MessageStatus.Value(f"MESSAGE_STATUS_{status.name}") for status in MessageStatus}


def required(value: str, field: str) -> str:
    if not value:
        raise CallerError("FIELD_REQUIRED", f"`{field}` is required", field=field)
    return value


def plain(value: str, field: str) -> str:
    if "\0" in value:
        # PostgreSQL's text type cannot store it, and no network's ids contain one.
        raise CallerError("FIELD_INVALID", f"`{field}` holds a NUL character", field=field)
    return value


# --- in -----------------------------------------------------------------------------------------------------------


def message(request: messages_pb2.HandleMessageRequest) -> Message:
    """The request in the domain's form, within its bounds. The rules for user ids are in `people.identity`."""
    if request.reply_mode not in _REPLY_MODES:
        raise CallerError("FIELD_INVALID", "`reply_mode` is unknown", field="reply_mode")
    outbox = request.reply_mode == messages_pb2.REPLY_MODE_OUTBOX
    return Message(
        user_id=request.user_id,
        message_id=plain(required(request.message_id, "message_id"), "message_id"),
        payload=payload(request.payload),
        aliases=_aliases(request.aliases),
        address=plain(request.address, "address"),
        reply_mode=ReplyMode.OUTBOX if outbox else ReplyMode.INLINE,
        chat_link=_chat_link(request.chat_link) if request.chat_link else "",
        time_zone=_time_zone(request) if request.time_zone else "",
    )


def _time_zone(request: messages_pb2.HandleMessageRequest) -> str:
    """The time zone is a hint, so an invalid one does not reject the message."""
    name = request.time_zone
    if zone_of(name) is None:
        log.warning("unknown time zone ignored channel=%s", request.user_id.partition(":")[0][:MAX_CHANNEL_SHOWN])
        return ""
    return name


def _chat_link(link: str) -> str:
    if not (link.startswith(("https://", "http://")) and "{text}" in link):
        raise CallerError(
            "FIELD_INVALID", "`chat_link` must be an http or https URL with `{text}` in it", field="chat_link"
        )
    return plain(link, "chat_link")


def _aliases(given: Iterable[identity_pb2.Alias]) -> tuple[Alias, ...]:
    aliases: list[Alias] = []
    try:
        for each in given:
            aliases.append(alias(each))  # noqa: PERF401 - their number is the place of the malformed one
    except CallerError as error:
        error.add_path(f"aliases[{len(aliases)}]")
        raise
    return tuple(aliases)


def alias(given: identity_pb2.Alias) -> Alias:
    """Raises `CallerError` if the strength is missing. A guess would bind the id permanently."""
    if given.strength not in _STRENGTHS:
        raise CallerError("FIELD_REQUIRED", "`strength` must be STRONG or WEAK", field="strength")
    return Alias(given.user_id, _STRENGTHS[given.strength], plain(given.scope, "scope") if given.scope else "")


# --- out -----------------------------------------------------------------------------------------------------------


def timestamp(seconds: float | None) -> Timestamp | None:
    """None stays absent."""
    if seconds is None:
        return None
    return Timestamp(seconds=int(seconds), nanos=int((seconds % 1) * 1e9))


def duration(seconds: float) -> Duration:
    """In microseconds."""
    microseconds = round(seconds * 1e6)
    whole = int(microseconds / 1_000_000)  # of a negative duration both fields are negative
    return Duration(seconds=whole, nanos=(microseconds - whole * 1_000_000) * 1000)


def handled(answer: Answer, *, home: str, trace_parent: str) -> messages_pb2.HandleMessageResponse:
    """`home`: the node to which the person's next message best goes."""
    return messages_pb2.HandleMessageResponse(
        turn_id=answer.turn_id,
        status=_STATUSES[answer.status],
        duplicate=answer.duplicate,
        replies=map(reply, answer.replies),
        usage=usage(answer.usage),
        node_id=home,
        trace_parent=trace_parent,
    )


def reply(stored: StoredReply) -> messages_pb2.Reply:
    given = stored.reply
    return messages_pb2.Reply(
        id=stored.id,
        turn_id=stored.turn_id,
        answers_message_id=stored.answers_message_id,
        text=given.text,
        link=link(given.link) if given.link else None,
        choices=map(choice, given.choices),
        media=map(file, given.media),
        quoted_message_id=given.quoted_message_id,
        created_at=timestamp(stored.created_at),
    )


def file(given: ReplyFile) -> media_pb2.Media:
    return media_pb2.Media(
        mime_type=given.mime_type,
        filename=given.filename,
        media_ref=given.id,
        sha256=bytes.fromhex(given.sha256),
        size_bytes=given.size,
        voice=given.voice,
    )


def choice(given: ReplyChoice) -> messages_pb2.ReplyChoice:
    return messages_pb2.ReplyChoice(id=given.id, title=given.title, description=given.description)


def link(given: Link) -> messages_pb2.Link:
    return messages_pb2.Link(url=given.url, title=given.title, expires_at=timestamp(given.expires_at))


def link_outcome(outcome: LinkOutcome) -> identity_pb2.LinkOutcome.ValueType:
    return identity_pb2.LinkOutcome.Value(f"LINK_OUTCOME_{outcome.name}")


def usage(given: Usage) -> messages_pb2.Usage:
    return messages_pb2.Usage(
        input_tokens=given.input_tokens,
        cached_input_tokens=given.cached_input_tokens,
        output_tokens=given.output_tokens,
        reasoning_tokens=given.reasoning_tokens,
        model_calls=given.model_calls,
        tool_calls=given.tool_calls,
    )
