"""The accounts, requests and permissions of a person."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from kernel_service.ports.exporting import (
    ExportedApproval,
    ExportedConnection,
    ExportedParkedRequest,
    ExportedPermission,
    ExportedSchedule,
    ExportedTrigger,
    ExportedTriggerEvent,
)
from kernel_service.ports.schedules import NewSchedule, Schedule, ScheduleKind
from kernel_service.storable import from_json
from kernel_service.storage.connections.connections import without_name
from kernel_service.storage.exporting.source import each, source
from kernel_service.storage.schema.approvals import approval, standing_permission
from kernel_service.storage.schema.connections import connect_attempt, connection, parked_request
from kernel_service.storage.schema.payloads import from_stored
from kernel_service.storage.schema.schedules import schedule
from kernel_service.storage.schema.triggers import trigger, trigger_event

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.ports.payloads import Payload
    from kernel_service.storage.exporting.opening import Opening


def _connection(opening: Opening, row: Row[Any]) -> ExportedConnection:
    """Its link, the vendor's id of the account and the secrets of its attempt are left out."""
    name = opening.json(connection.c.private, "connection.name", lambda private: str(private[1])) or ""
    return ExportedConnection(
        replace(without_name(row), name=name),
        row.attempt_state or "",
        row.attempted_at,
        row.channel or "",
        row.address or "",
        row.wrong_codes or 0,
    )


def _parked(opening: Opening, row: Row[Any]) -> ExportedParkedRequest:
    def words(plain: bytes) -> tuple[str, tuple[Payload, ...]]:
        if row.messages is None:  # parked by an earlier release: only the model's summary
            return plain.decode(), ()
        kept = from_json(plain)
        return kept["remaining"], tuple(from_stored(each["content"]) for each in kept["messages"])

    remaining, messages = opening.read(parked_request.c.words, "remaining", words) or ("", ())
    return ExportedParkedRequest(
        row.id,
        row.turn_id,
        tuple(filter(None, row.toolkits.split(","))),
        remaining,
        messages,
        row.created_at,
        row.resumed_by,
        row.withdrawn_at,
    )


def _approval(opening: Opening, row: Row[Any]) -> ExportedApproval:
    def kept(value: list[Any] | dict[str, Any]) -> tuple[dict[str, Any], str]:
        if isinstance(value, list):
            return dict(value[0]), str(value[1]) if len(value) > 1 else ""
        return dict(value), ""  # an earlier release stored only the arguments

    arguments, account = opening.json(approval.c.arguments, "arguments_json", kept) or (None, "")
    return ExportedApproval(
        row.id,
        row.question_id,
        row.turn_id,
        row.tool,
        arguments,
        account,
        row.created_at,
        row.expires_at,
        row.approved,
        row.decided_in or "",
        row.withdrawn_at,
    )


def _permission(_: Opening, row: Row[Any]) -> ExportedPermission:
    return ExportedPermission(row.tool, row.account, row.created_at)


def _schedule(opening: Opening, row: Row[Any]) -> ExportedSchedule:
    asked = NewSchedule(
        ScheduleKind(row.kind),
        opening.text(schedule.c.request, "schedule.request"),
        row.channel,
        row.address,
        opening.text(schedule.c.time_zone, "schedule.time_zone"),
        cron=row.cron,
        at=row.at,
        tainted=row.tainted,
    )
    return ExportedSchedule(Schedule(row.id, asked, row.created_at, row.next_due_at, row.paused_at), row.last_run_at)


def _trigger(opening: Opening, row: Row[Any]) -> ExportedTrigger:
    def private(value: list[Any]) -> tuple[str, dict[str, Any], str, str, str]:
        slug, config, request, name, account, *_ = value
        return slug, config, request, name, account

    slug, config, request, name, account = opening.json(trigger.c.private, "request", private) or ("", None, "", "", "")
    return ExportedTrigger(
        row.id,
        row.connection_id,
        row.status,
        slug,
        name,
        account,
        request,
        config,
        row.channel,
        row.address,
        row.created_at,
    )


def _event(opening: Opening, row: Row[Any]) -> ExportedTriggerEvent:
    data = opening.json(trigger_event.c.words, "data_json", lambda words: words[1])
    return ExportedTriggerEvent(row.trigger_id, row.received_at, row.told_at, data)


_WITH_ATTEMPT = select(
    connection,
    connect_attempt.c.state.label("attempt_state"),
    connect_attempt.c.created_at.label("attempted_at"),
    connect_attempt.c.channel,
    connect_attempt.c.address,
    connect_attempt.c.wrong_codes,
).outerjoin(connect_attempt, connect_attempt.c.connection_id == connection.c.id)

CONNECTIONS: Final = source(
    connection, connection.c.id, records=each(_connection), selected=_WITH_ATTEMPT, also=(connect_attempt,)
)
PARKED_REQUESTS: Final = source(parked_request, parked_request.c.id, records=each(_parked))
APPROVALS: Final = source(approval, approval.c.id, records=each(_approval))
PERMISSIONS: Final = source(
    standing_permission, standing_permission.c.tool, standing_permission.c.account, records=each(_permission)
)
SCHEDULES: Final = source(schedule, schedule.c.id, records=each(_schedule))
TRIGGERS: Final = source(trigger, trigger.c.id, records=each(_trigger))
TRIGGER_EVENTS: Final = source(trigger_event, trigger_event.c.received_at, trigger_event.c.digest, records=each(_event))
