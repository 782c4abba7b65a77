"""A person's schedules: created, listed, deleted, resumed, and run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Integer, bindparam, delete, func, insert, select, update

from kernel_service.errors import AlreadyExists, Exhausted
from kernel_service.ports.messages import MessageStatus
from kernel_service.ports.schedules import Ran, Schedule, ScheduleKind
from kernel_service.schedules import checking
from kernel_service.schedules.recurrence import minutes_of_day, runs
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.outbox import replies
from kernel_service.storage.people.people import surviving
from kernel_service.storage.schedules import defaults, due_runs, rows
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.schedules import schedule

if TYPE_CHECKING:
    from kernel_service.ports.schedules import NewSchedule
    from kernel_service.schedules.limits import ScheduleLimits
    from kernel_service.storage.engine.engine import Engine, Tx

_mine = schedule.c.person_id == bindparam("person")
_SAME_REQUEST = select(schedule).where(_mine, schedule.c.request_digest == bindparam("digest"))
_COUNT = select(func.count()).select_from(schedule).where(_mine)
_REQUESTED = select(schedule.c.cron).where(_mine, schedule.c.kind == ScheduleKind.DO.value, schedule.c.cron != "")
_ADD = insert(schedule)
_PAGE = (
    select(schedule)
    .where(_mine, schedule.c.id > bindparam("after"))
    .order_by(schedule.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_DELETE = delete(schedule).where(_mine, schedule.c.id == bindparam("of")).returning(schedule)
_WITHDRAW = (
    update(message)
    .where(message.c.seq == bindparam("of"), MESSAGE_OPEN, message.c.turn_id.is_(None))
    .values(status=MessageStatus.STOPPED.value)
)
_PAUSED = select(schedule).where(_mine, schedule.c.paused_at.is_not(None)).order_by(schedule.c.id)
_RESUME = (
    update(schedule)
    .where(_mine, schedule.c.id == bindparam("of"))
    .values(next_due_at=bindparam("due"), paused_at=None, silent_runs=0)
)


class SqlSchedules(SqlPort):
    """Fills `ScheduleStore`."""

    def __init__(self, engine: Engine, limits: ScheduleLimits) -> None:
        super().__init__(engine)
        self._limits = limits

    @writes(in_order_of="person_id")
    def create(self, tx: Tx, person_id: str, new: NewSchedule, *, request_id: str, now: float) -> Schedule:
        person_id = surviving(tx, person_id, stays=True)
        # Of the person too, so that two people who are merged have no request in common.
        digest = tx.digests.payload(f"{person_id}\0{request_id}".encode())
        known = tx.execute(_SAME_REQUEST, {"person": person_id, "digest": digest}).one_or_none()
        if known is not None:
            return _repeated(rows.opened(tx, known), new)
        new = defaults.completed(tx, person_id, new)
        due_at = checking.check(new, self._limits, now=now)
        self._check_room(tx, person_id, new)
        schedule_id = new_id("s", now)
        row = {
            "id": schedule_id,
            "person_id": person_id,
            "request_digest": digest,
            "created_at": now,
            "next_due_at": due_at,
            **rows.sealed(tx, person_id, schedule_id, new),
        }
        tx.execute(_ADD, row)
        return Schedule(schedule_id, new, now, due_at)

    def _check_room(self, tx: Tx, person_id: str, new: NewSchedule) -> None:
        """Requests cost tokens, so their runs are counted over all schedules of the person."""
        limits = self._limits
        if tx.execute(_COUNT, {"person": person_id}).scalar_one() >= limits.per_person:
            raise Exhausted("TOO_MANY_SCHEDULES", f"the person has {limits.per_person} schedules; delete one first")
        if new.kind is not ScheduleKind.DO or not new.cron:
            return
        crons = [new.cron, *tx.execute(_REQUESTED, {"person": person_id}).scalars()]
        if (count := sum(len(minutes_of_day(cron)) for cron in crons)) > limits.runs_per_day:
            raise Exhausted(
                "TOO_MANY_SCHEDULES",
                f"the person's recurring requests would run up to {count} times on a day; at most "
                f"{limits.runs_per_day} are possible, so delete one first, or make it a reminder",
            )

    @reads
    def of_person(self, tx: Tx, person_id: str, *, after: str = "", limit: int) -> list[Schedule]:
        page = {"person": surviving(tx, person_id), "after": after, "limit": limit}
        return [rows.opened(tx, row) for row in tx.execute(_PAGE, page)]

    @writes(in_order_of="person_id")
    def delete(self, tx: Tx, person_id: str, schedule_id: str, *, now: float) -> Schedule | None:
        named = {"person": surviving(tx, person_id, stays=True), "of": schedule_id}
        row = tx.execute(_DELETE, named).one_or_none()
        if row is None:
            return None
        if row.last_seq is not None:
            tx.execute(_WITHDRAW, {"of": row.last_seq})
            replies.drop_held(tx, row.person_id, row.id, now)
        return rows.opened(tx, row)

    @writes(in_order_of="person_id")
    def resume(self, tx: Tx, person_id: str, *, now: float) -> list[Schedule]:
        person_id = surviving(tx, person_id, stays=True)
        paused = [rows.opened(tx, row) for row in tx.execute(_PAUSED, {"person": person_id}).all()]
        resumed = [replace(each, next_due_at=_next_of(each, now), paused_at=None) for each in paused]
        for each in resumed:
            tx.execute(_RESUME, {"person": person_id, "of": each.id, "due": each.next_due_at})
        return resumed

    async def run_due(self, *, now: float, limit: int, most_waiting: int) -> Ran:
        # Nearly always nothing is due, and a read costs less than a commit.
        if not await self._any_due(now=now):
            return Ran((), is_all=True)
        return await self._run_due(now=now, limit=limit, most_waiting=most_waiting)

    @reads
    def _any_due(self, tx: Tx, *, now: float) -> bool:
        return due_runs.any_due(tx, now=now)

    @writes()
    def _run_due(self, tx: Tx, *, now: float, limit: int, most_waiting: int) -> Ran:
        return due_runs.run(tx, now=now, limit=limit, most_waiting=most_waiting, allowed=self._limits.allowed)


def _repeated(known: Schedule, new: NewSchedule) -> Schedule:
    if not defaults.repeats(known.asked, new):
        raise AlreadyExists(
            "REQUEST_ID_REUSED", "this request id was used before with another schedule; give each request its own"
        )
    return known


def _next_of(paused: Schedule, now: float) -> float | None:
    return next(runs(paused.asked.cron, paused.asked.time_zone, after=now), None)
