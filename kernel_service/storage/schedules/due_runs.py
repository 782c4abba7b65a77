"""Runs of the schedules that are due: each becomes a message in its person's inbox.

The same transaction moves the next due time. So a run is made once, despite crashes and concurrent nodes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Float, Integer, and_, bindparam, delete, exists, func, select, update

from kernel_service.clock import DAY_SECONDS
from kernel_service.errors import Unreadable
from kernel_service.ports.commands import UNPROMPTED, Command
from kernel_service.ports.payloads import Scheduled
from kernel_service.ports.schedules import MOST_SILENT, Ran, ScheduleKind
from kernel_service.ports.states.message import OPEN
from kernel_service.schedules.missed import due_run
from kernel_service.storage.inbox import own_messages
from kernel_service.storage.people.served import is_served
from kernel_service.storage.schedules import pausing, rows
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.people import person
from kernel_service.storage.schema.schedules import schedule
from kernel_service.storage.schema.transitions import is_one_of

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.ports.allow_list import AllowList
    from kernel_service.ports.schedules import Schedule
    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

PUT_OFF_SECONDS: Final = 3600.0
"""A schedule is retried after this time if it cannot be opened (an unknown key), or if it runs once and its person is
not served now."""
MESSAGES_KEPT_SECONDS: Final = 29 * DAY_SECONDS
"""How long messages are kept at least. Whether the person wrote after an older run is unknown."""

_IS_DUE = and_(schedule.c.next_due_at.is_not(None), schedule.c.next_due_at <= bindparam("now", type_=Float))
_ANY = select(exists().where(_IS_DUE))
_previous = message.alias("previous")
_written = message.alias("written")
_last_message_at = (
    select(_written.c.accepted_at)
    .where(
        _written.c.person_id == schedule.c.person_id,
        *(_written.c.command != each.value for each in UNPROMPTED),
    )
    .order_by(_written.c.seq.desc())
    .limit(1)
    .correlate(schedule)
    .scalar_subquery()
)
# Both rows are locked: a merge waits for the new message, and moves it too.
_TAKE = (
    select(
        schedule,
        func.coalesce(is_one_of(_previous.c.status, OPEN), False).label("is_open"),
        _last_message_at.label("last_message_at"),
    )
    .select_from(
        schedule.join(person, person.c.id == schedule.c.person_id).outerjoin(
            _previous, _previous.c.seq == schedule.c.last_seq
        )
    )
    .where(_IS_DUE, schedule.c.kind == bindparam("of_kind"))
    .order_by(schedule.c.next_due_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(of=(schedule, person), key_share=True, skip_locked=True)
)
_one = schedule.c.id == bindparam("of")
_MOVE_ON = update(schedule).where(_one).values(next_due_at=bindparam("due"))
_RAN = _MOVE_ON.values(
    last_run_at=bindparam("ran_at"), last_seq=bindparam("as_seq"), silent_runs=bindparam("silent", type_=Integer)
)
_END = delete(schedule).where(_one)


def any_due(tx: Tx, *, now: float) -> bool:
    return bool(tx.execute(_ANY, {"now": now}).scalar_one())


def run(tx: Tx, *, now: float, limit: int, most_waiting: int, allowed: AllowList) -> Ran:
    """Reminders first: they need neither the model nor a turn's slot."""
    taken = list(_take(tx, ScheduleKind.REMIND, now, limit))
    if len(taken) < limit:
        room = most_waiting - own_messages.waiting(tx, now) - len(taken)
        taken += _take(tx, ScheduleKind.DO, now, min(limit - len(taken), room))
    people = [row.person_id for row in taken if _run(tx, row, now, allowed)]
    return Ran(people, is_all=len(taken) < limit)


def _take(tx: Tx, kind: ScheduleKind, now: float, limit: int) -> list[Row[Any]]:
    return list(tx.execute(_TAKE, {"of_kind": kind.value, "now": now, "limit": limit}).all()) if limit > 0 else []


def _run(tx: Tx, row: Row[Any], now: float, allowed: AllowList) -> bool:
    """Whether the person has a new message."""
    try:
        found = rows.opened(tx, row)
    except Unreadable as error:
        log.error("schedule put off reason=%s schedule=%s person=%s", error.reason, row.id, row.person_id)  # noqa: TRY400
        tx.execute(_MOVE_ON, {"of": row.id, "due": now + PUT_OFF_SECONDS})
        return False
    run_at, next_at = due_run(found.asked, row.next_due_at, now)
    if not is_served(tx, row.person_id, found.asked.channel, allowed):
        log.info("schedule put off: its person is not served schedule=%s person=%s", row.id, row.person_id)
        tx.execute(_MOVE_ON, {"of": row.id, "due": next_at if found.asked.cron else now + PUT_OFF_SECONDS})
        return False
    silent_runs = _silent_runs(row, now)
    if run_at is not None and found.asked.cron:
        if row.is_open:
            run_at = None
        elif silent_runs >= MOST_SILENT:
            pausing.pause(tx, row.person_id, found, now)
            return False
    seq = None if run_at is None else _put(tx, row.person_id, found, run_at, now)
    if next_at is None:
        tx.execute(_END, {"of": row.id})
    elif seq is None:
        tx.execute(_MOVE_ON, {"of": row.id, "due": next_at})
    else:
        tx.execute(_RAN, {"of": row.id, "due": next_at, "ran_at": now, "as_seq": seq, "silent": silent_runs})
    return seq is not None


def _silent_runs(row: Row[Any], now: float) -> int:
    """The number of consecutive runs, up to the last one, that were followed by no message of the person."""
    if row.last_run_at is None or (row.last_message_at is not None and row.last_message_at > row.last_run_at):
        return 0
    return int(row.silent_runs) + int(row.last_run_at > now - MESSAGES_KEPT_SECONDS)


def _put(tx: Tx, person_id: str, found: Schedule, run_at: float, now: float) -> int | None:
    asked = found.asked
    return own_messages.put(
        tx,
        person_id,
        channel=asked.channel,
        address=asked.address,
        message_id=f"schedule:{found.id}:{run_at:.0f}",
        content=Scheduled(
            found.id,
            asked.kind,
            asked.request,
            run_at,
            asked.time_zone,
            recurs=bool(asked.cron),
            tainted=asked.tainted,
        ),
        command=Command.REMINDER if asked.kind is ScheduleKind.REMIND else Command.SCHEDULED,
        now=now,
    )
