"""The rows of `schedule`. A request and a time zone reveal what a person does and where they live: they are sealed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from kernel_service.errors import SealedValueDamaged
from kernel_service.ports.schedules import NewSchedule, Schedule, ScheduleKind
from kernel_service.storage.schema.schedules import schedule
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from sqlalchemy import Column, Row

    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)


def sealed(tx: Tx, person_id: str, schedule_id: str, new: NewSchedule) -> dict[str, Any]:
    """The columns that say hold the request."""
    cipher = tx.cipher_of(person_id)
    return {
        "kind": new.kind.value,
        "request": cipher.seal_text(new.request, place(schedule.c.request, schedule_id)),
        "cron": new.cron,
        "at": new.at,
        "time_zone": cipher.seal_text(new.time_zone, place(schedule.c.time_zone, schedule_id)),
        "channel": new.channel,
        "address": new.address,
        "tainted": new.tainted,
    }


def opened(tx: Tx, row: Row[Any]) -> Schedule:
    """A damaged text is empty, so that the person can still delete the schedule. Raises `SealingKeyUnknown`."""
    asked = NewSchedule(
        ScheduleKind(row.kind),
        _text(tx, schedule.c.request, row),
        row.channel,
        row.address,
        _text(tx, schedule.c.time_zone, row),
        cron=row.cron,
        at=row.at,
        tainted=row.tainted,
    )
    return Schedule(row.id, asked, row.created_at, row.next_due_at, row.paused_at)


def _text(tx: Tx, column: Column[Any], row: Row[Any]) -> str:
    cipher = tx.cipher_of(row.person_id)
    try:
        return cipher.open_text(getattr(row, column.name), place(column, row.id))
    except SealedValueDamaged:
        log.error("alert: schedule damaged column=%s schedule=%s person=%s", column.name, row.id, row.person_id)  # noqa: TRY400
        return ""
