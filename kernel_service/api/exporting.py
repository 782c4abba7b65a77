"""Converts the records of an export to the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kernel.v1 import admin_pb2, export_pb2, identity_pb2, memory_pb2, messages_pb2

from kernel_service.api import connections, converters, exported_payloads, media, schedules, usage, views
from kernel_service.ports import admin, exporting, payloads
from kernel_service.storable import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kernel_service.ports.exporting import Exported, FileChunk, Record

_time = converters.timestamp


def responses(given: Exported, *, now: float) -> Iterator[admin_pb2.ExportPersonResponse]:
    """One, or the pieces of a chunk."""
    record = given.record
    if isinstance(record, exporting.FileChunk):
        yield from _pieces(record, given.unreadable)
    elif isinstance(record, exporting.ExportedSchedule):
        shown = _schedule(record, now)
        yield admin_pb2.ExportPersonResponse(schedule=shown, unreadable=given.unreadable)
    else:
        name, converted = _CONVERTERS[type(record)]
        yield admin_pb2.ExportPersonResponse(**{name: converted(record)}, unreadable=given.unreadable)


def _pieces(chunk: FileChunk, unreadable: tuple[str, ...]) -> Iterator[admin_pb2.ExportPersonResponse]:
    if unreadable:
        yield admin_pb2.ExportPersonResponse(file_chunk=b"", unreadable=unreadable)
    for piece in media.in_pieces(chunk.data):
        yield admin_pb2.ExportPersonResponse(file_chunk=piece)


# --- the person -------------------------------------------------------------------------------------------------------


def _person(given: exporting.ExportedPerson) -> export_pb2.ExportedPerson:
    return export_pb2.ExportedPerson(
        person_id=given.id,
        created_at=_time(given.created_at),
        merged_person_ids=given.merged,
        reported_time_zone=given.reported_time_zone,
        said_time_zone=given.said_time_zone,
        stopped_at=_time(given.stopped_at),
        context_start=given.context_start,
    )


def _alias(given: exporting.ExportedAlias) -> export_pb2.ExportedAlias:
    strength = identity_pb2.ALIAS_STRENGTH_STRONG if given.alias.strong else identity_pb2.ALIAS_STRENGTH_WEAK
    return export_pb2.ExportedAlias(
        alias=identity_pb2.Alias(user_id=given.alias.user_id, strength=strength, scope=given.alias.scope),
        channel=given.channel,
        created_at=_time(given.created_at),
        linked_at=_time(given.linked_at),
        replaced_at=_time(given.replaced_at),
        heard_at=_time(given.heard_at),
    )


def _fact(given: exporting.ExportedFact) -> export_pb2.ExportedFact:
    fact = memory_pb2.Fact(number=given.fact.number, text=given.fact.text, label=given.fact.label.value)
    return export_pb2.ExportedFact(fact=fact, created_at=_time(given.created_at))


def _invitation(given: exporting.ExportedInvitation) -> export_pb2.ExportedInvitation:
    return export_pb2.ExportedInvitation(channel=given.channel, address=given.address, asked_at=_time(given.asked_at))


# --- the conversation -------------------------------------------------------------------------------------------------


def _message(given: exporting.ExportedMessage) -> export_pb2.ExportedMessage:
    shown = export_pb2.ExportedMessage(
        number=str(given.seq),
        message_id=given.message_id,
        channel=given.channel,
        address=given.address,
        status=messages_pb2.MessageStatus.Value(f"MESSAGE_STATUS_{given.status.name}"),
        turn_id=given.turn_id,
        accepted_at=_time(given.accepted_at),
        sent_at=_time(given.sent_at),
        command=given.command,
        reply_mode=messages_pb2.ReplyMode.Value(f"REPLY_MODE_{given.reply_mode.name}"),
    )
    if given.payload is None:
        return shown
    match given.payload.content:
        case payloads.Scheduled() as run:
            shown.run.CopyFrom(exported_payloads.run(run))
        case payloads.Triggered() as events:
            shown.events.CopyFrom(exported_payloads.events(events))
        case _:
            shown.payload.CopyFrom(exported_payloads.payload(given.payload))
    if file := given.payload.file:
        shown.file_id, shown.transcript = file.media_id, file.transcript or ""
    return shown


def _item(given: exporting.ExportedItem) -> export_pb2.ExportedItem:
    return export_pb2.ExportedItem(
        number=given.seq,
        turn_id=given.turn_id,
        kind=given.kind,
        origin=given.origin,
        created_at=_time(given.created_at),
        superseded=given.superseded,
        data_json=given.data,
    )


def _reply(given: exporting.ExportedReply) -> admin_pb2.ExportedReply:
    shown = admin_pb2.ExportedReply(record=views.reply(given.view), address=given.address)
    if given.stored is not None:
        shown.reply.CopyFrom(converters.reply(given.stored))
        if shown.reply.HasField("link"):
            shown.reply.link.url = ""
        shown.late_text = given.stored.reply.late
    return shown


def _dead_letter(given: exporting.ExportedDeadLetter) -> admin_pb2.DeadLetter:
    shown = views.dead_letter(given.letter)
    if (requeued_at := _time(given.requeued_at)) is not None:
        shown.requeued_at.CopyFrom(requeued_at)
    return shown


# --- what they asked for and allowed ----------------------------------------------------------------------------------


def _schedule(given: exporting.ExportedSchedule, now: float) -> export_pb2.ExportedSchedule:
    return export_pb2.ExportedSchedule(
        schedule=schedules.schedule(given.schedule, now=now),
        channel=given.schedule.asked.channel,
        address=given.schedule.asked.address,
        last_run_at=_time(given.last_run_at),
    )


def _connection(given: exporting.ExportedConnection) -> export_pb2.ExportedConnection:
    return export_pb2.ExportedConnection(
        connection=connections.connection(given.connection),
        toolkit_name=given.connection.toolkit_name,
        attempt_state=given.attempt_state,
        attempted_at=_time(given.attempted_at),
        channel=given.channel,
        address=given.address,
        wrong_codes=given.wrong_codes,
    )


def _trigger(given: exporting.ExportedTrigger) -> export_pb2.ExportedTrigger:
    return export_pb2.ExportedTrigger(
        id=given.id,
        connection_id=given.connection_id,
        status=given.status,
        kind=given.kind,
        name=given.name,
        account=given.account,
        request=given.request,
        config_json=_json(given.config),
        channel=given.channel,
        address=given.address,
        created_at=_time(given.created_at),
    )


def _trigger_event(given: exporting.ExportedTriggerEvent) -> export_pb2.ExportedTriggerEvent:
    return export_pb2.ExportedTriggerEvent(
        trigger_id=given.trigger_id,
        received_at=_time(given.received_at),
        told_at=_time(given.told_at),
        data_json=_json(given.data),
    )


def _parked_request(given: exporting.ExportedParkedRequest) -> export_pb2.ExportedParkedRequest:
    return export_pb2.ExportedParkedRequest(
        id=given.id,
        turn_id=given.turn_id,
        toolkits=given.toolkits,
        remaining=given.remaining,
        messages=map(exported_payloads.payload, given.messages),
        created_at=_time(given.created_at),
        resumed_by="" if given.resumed_by is None else str(given.resumed_by),
        withdrawn_at=_time(given.withdrawn_at),
    )


def _approval(given: exporting.ExportedApproval) -> export_pb2.ExportedApproval:
    return export_pb2.ExportedApproval(
        id=given.id,
        question_id=given.question_id,
        turn_id=given.turn_id,
        tool=given.tool,
        arguments_json=_json(given.arguments),
        connection_id=given.account,
        created_at=_time(given.created_at),
        expires_at=_time(given.expires_at),
        approved=given.approved,
        decided_in_turn_id=given.decided_in,
        withdrawn_at=_time(given.withdrawn_at),
    )


def _permission(given: exporting.ExportedPermission) -> export_pb2.ExportedPermission:
    return export_pb2.ExportedPermission(
        tool=given.tool, connection_id=given.account, created_at=_time(given.created_at)
    )


# --- usage and files --------------------------------------------------------------------------------------------------


def _usage(given: exporting.ExportedUsage) -> admin_pb2.ExportedUsage:
    return admin_pb2.ExportedUsage(usage=usage.daily(given.usage), replies=given.replies)


def _tool_usage(given: exporting.ExportedToolUsage) -> admin_pb2.ExportedToolUsage:
    return admin_pb2.ExportedToolUsage(day=usage.date_of(given.day), usage=usage.tool(given.usage))


def _file(given: exporting.ExportedFile) -> export_pb2.ExportedFile:
    return export_pb2.ExportedFile(
        file_id=given.id,
        message_number=str(given.message_seq),
        reply_id=given.reply_id,
        mime_type=given.mime_type,
        filename=given.filename,
        state=given.state,
        problem=given.problem,
        size_bytes=given.size,
        created_at=_time(given.created_at),
        transcript=given.transcript,
    )


def _json(value: Any) -> str:
    return "" if value is None else to_json(value).decode()


_CONVERTERS: Final[dict[type[Record], tuple[str, Callable[[Any], Any]]]] = {
    exporting.ExportedPerson: ("person", _person),
    exporting.ExportedAlias: ("alias", _alias),
    exporting.ExportedMessage: ("message", _message),
    admin.TurnSummary: ("turn", views.turn),
    exporting.ExportedItem: ("item", _item),
    exporting.ExportedReply: ("reply", _reply),
    exporting.ExportedDeadLetter: ("dead_letter", _dead_letter),
    exporting.ExportedFact: ("fact", _fact),
    exporting.ExportedTrigger: ("trigger", _trigger),
    exporting.ExportedTriggerEvent: ("trigger_event", _trigger_event),
    exporting.ExportedConnection: ("connection", _connection),
    exporting.ExportedParkedRequest: ("parked_request", _parked_request),
    exporting.ExportedApproval: ("approval", _approval),
    exporting.ExportedPermission: ("permission", _permission),
    exporting.ExportedInvitation: ("invitation", _invitation),
    exporting.ExportedUsage: ("usage", _usage),
    exporting.ExportedToolUsage: ("tool_usage", _tool_usage),
    exporting.ExportedFile: ("file", _file),
}
