"""People's triggers: created at the vendor and here, ended here and then at the vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Float, Integer, bindparam, delete, func, insert, null, select, update

from kernel_service.errors import Exhausted, NotFound
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.deletion import RevocationKind
from kernel_service.ports.messages import Notice
from kernel_service.ports.triggers import EndedTrigger, Trigger, TriggerStatus
from kernel_service.storable import to_json
from kernel_service.storage.deleting import revocations
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.inbox import own_messages
from kernel_service.storage.outbox import replies
from kernel_service.storage.people.people import SURVIVOR, staying, surviving
from kernel_service.storage.people.served import is_served
from kernel_service.storage.schema.connections import connection as connection_table
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.triggers import TRIGGER_DUE, TRIGGER_UNSETTLED, trigger, trigger_event
from kernel_service.storage.triggers import events
from kernel_service.storage.triggers.rows import opened, sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.ports.connections import Connection
    from kernel_service.ports.messages import Reply
    from kernel_service.ports.triggers import EventOutcome, NewTrigger, ToldEvents, TriggerEvent, TriggerLimits
    from kernel_service.storage.engine.engine import Tx

_IN_USE: Final = (TriggerStatus.CREATING.value, TriggerStatus.ACTIVE.value)
_CONNECTED = (
    select(connection_table.c.person_id)
    .where(connection_table.c.id == bindparam("connection"), connection_table.c.status == ConnectionStatus.ACTIVE.value)
    .with_for_update()
)
_LIKE = select(trigger).where(
    trigger.c.connection_id == bindparam("connection"), trigger.c.digest == bindparam("of_digest")
)
_HOW_MANY = select(func.count()).where(trigger.c.person_id == bindparam("person"), trigger.c.status.in_(_IN_USE))
_ADD = insert(trigger)
_BEGUN_AGAIN = update(trigger).where(trigger.c.id == bindparam("of")).values(created_at=bindparam("at", type_=Float))
_WHOSE = select(trigger.c.person_id).where(trigger.c.id == bindparam("of"))
_LOCKED = select(trigger).where(trigger.c.id == bindparam("of")).with_for_update()
_OF_VENDOR = select(trigger).where(trigger.c.vendor_id == bindparam("vendor"))
_NAMED = (
    update(trigger)
    .where(trigger.c.id == bindparam("of"))
    .values(vendor_id=bindparam("vendor"), status=bindparam("becomes"))
)
_END = update(trigger).where(trigger.c.id == bindparam("of")).values(status=TriggerStatus.ENDED.value, due_at=null())
_DELETE = delete(trigger).where(trigger.c.id == bindparam("of"))
_DELETE_EVENTS = delete(trigger_event).where(trigger_event.c.trigger_id == bindparam("of"))
_OF_PERSON = (
    select(trigger)
    .where(trigger.c.person_id == SURVIVOR, trigger.c.status == TriggerStatus.ACTIVE.value)
    .order_by(trigger.c.created_at, trigger.c.id)
)
_THEIRS = (
    select(trigger, connection_table.c.account_id)
    .join(connection_table, connection_table.c.id == trigger.c.connection_id)
    .where(trigger.c.id == bindparam("of"), trigger.c.person_id == bindparam("person"))
    .with_for_update(of=trigger)
)
_DUE = (
    select(trigger.c.id)
    .where(TRIGGER_DUE, trigger.c.due_at <= bindparam("now"))
    .order_by(trigger.c.due_at)
    .limit(bindparam("limit", type_=Integer))
)
_LAPSE = (
    update(trigger)
    .where(
        TRIGGER_UNSETTLED,
        trigger.c.status == TriggerStatus.CREATING.value,
        trigger.c.created_at < bindparam("before", type_=Float),
    )
    .values(status=TriggerStatus.ENDED.value)
)
_TO_REMOVE = (
    select(trigger.c.id, trigger.c.vendor_id, connection_table.c.account_id)
    .join(connection_table, connection_table.c.id == trigger.c.connection_id)
    .where(TRIGGER_UNSETTLED, trigger.c.status == TriggerStatus.ENDED.value, trigger.c.id > bindparam("after"))
    .order_by(trigger.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_AT_ACCOUNT = (
    select(trigger.c.vendor_id, trigger.c.status)
    .join(connection_table, connection_table.c.id == trigger.c.connection_id)
    .where(connection_table.c.account_id == bindparam("account"))
)


class SqlTriggers(SqlPort):
    """Fills `TriggerStore`."""

    @writes(in_order_of="connection.person_id")
    def begin(self, tx: Tx, connection: Connection, new: NewTrigger, *, now: float, most: int) -> Trigger:
        person_id = surviving(tx, connection.person_id, stays=True)
        if tx.execute(_CONNECTED, {"connection": connection.id}).scalar_one_or_none() != person_id:
            raise NotFound("CONNECTION_NOT_FOUND", "the account is no longer connected")
        digest = tx.digests.payload(to_json(["trigger", new.slug, new.config], sort_keys=True))
        same = tx.execute(_LIKE, {"connection": connection.id, "of_digest": digest}).one_or_none()
        if same is not None and (known := opened(tx, same)) is not None:
            if known.status is TriggerStatus.CREATING:
                tx.execute(_BEGUN_AGAIN, {"of": known.id, "at": now})
            return known
        if int(tx.execute(_HOW_MANY, {"person": person_id}).scalar_one()) >= most:
            raise Exhausted("TOO_MANY_TRIGGERS", f"the person already has {most} of these; delete one first")
        trigger_id = new_id("tg", now)
        row = {
            "id": trigger_id,
            "person_id": person_id,
            "connection_id": connection.id,
            "digest": digest,
            "status": TriggerStatus.CREATING.value,
            "private": sealed(tx, person_id, trigger_id, new),
            "channel": new.channel,
            "address": new.address,
            "created_at": now,
        }
        tx.execute(_ADD, row)
        return Trigger(trigger_id, new, connection.id, TriggerStatus.CREATING, now)

    @writes(in_order_of="trigger_id")
    def activate(self, tx: Tx, trigger_id: str, vendor_id: str) -> Trigger | None:
        person_id = tx.execute(_WHOSE, {"of": trigger_id}).scalar_one_or_none()
        is_theirs = person_id is not None and staying(tx, person_id) is not None
        row = tx.execute(_LOCKED, {"of": trigger_id}).one_or_none() if is_theirs else None
        if row is None:
            revocations.note(tx, RevocationKind.TRIGGER, vendor_id)
            return None
        other = tx.execute(_OF_VENDOR, {"vendor": vendor_id}).one_or_none()
        if other is not None and other.id != trigger_id:
            tx.execute(_DELETE, {"of": trigger_id})
            return opened(tx, other) if other.status == TriggerStatus.ACTIVE.value else None
        is_ended = row.status == TriggerStatus.ENDED.value
        becomes = TriggerStatus.ENDED if is_ended else TriggerStatus.ACTIVE
        tx.execute(_NAMED, {"of": trigger_id, "vendor": vendor_id, "becomes": becomes.value})
        return None if is_ended else opened(tx, tx.execute(_LOCKED, {"of": trigger_id}).one())

    @writes(in_order_of="trigger_id")
    def abandon(self, tx: Tx, trigger_id: str) -> None:
        row = tx.execute(_LOCKED, {"of": trigger_id}).one_or_none()
        if row is not None and row.vendor_id is None:
            tx.execute(_DELETE, {"of": trigger_id})

    @reads
    def of_person(self, tx: Tx, person_id: str) -> list[Trigger]:
        rows = tx.execute(_OF_PERSON, {"person": person_id}).all()
        return [known for row in rows if (known := opened(tx, row)) is not None]

    @writes(in_order_of="person_id")
    def end(self, tx: Tx, person_id: str, trigger_id: str) -> EndedTrigger | None:
        theirs = {"of": trigger_id, "person": surviving(tx, person_id)}
        row = tx.execute(_THEIRS, theirs).one_or_none()
        if row is None:
            return None
        tx.execute(_END, {"of": trigger_id})
        return EndedTrigger(row.id, row.vendor_id or "", row.account_id or "")

    @writes(in_order_of="event.vendor_id")
    def end_watched(
        self, tx: Tx, event: TriggerEvent, notice: Callable[[NewTrigger], Reply], *, now: float, limits: TriggerLimits
    ) -> str:
        row = events.watched(tx, event)
        if row is None:
            return ""
        tx.execute(_END, {"of": row.id})
        known = opened(tx, row)
        if known is None or not is_served(tx, row.person_id, row.channel, limits.allowed):
            return ""
        replies.notify(tx, row.person_id, Notice(notice(known.asked), row.channel, row.address, at=now))
        return str(row.channel)

    # --- events -------------------------------------------------------------------------------------------------

    @writes(in_order_of="event.vendor_id")
    def receive(self, tx: Tx, event: TriggerEvent, *, now: float, limits: TriggerLimits) -> EventOutcome:
        return events.receive(tx, event, now, limits)

    @reads
    def due(self, tx: Tx, *, now: float, limit: int, most_waiting: int) -> list[str]:
        due = list(tx.execute(_DUE, {"now": now, "limit": limit}).scalars())
        return due[: max(0, most_waiting - own_messages.waiting(tx, now))] if due else due

    @writes(in_order_of="trigger_id")
    def tell(self, tx: Tx, trigger_id: str, *, now: float, limits: TriggerLimits, limited: str) -> ToldEvents | None:
        return events.tell(tx, trigger_id, now, limits, limited)

    # --- removing -----------------------------------------------------------------------------------------------

    @writes()
    def lapse(self, tx: Tx, *, before: float) -> int:
        return tx.execute(_LAPSE, {"before": before}).rowcount

    @reads
    def to_remove(self, tx: Tx, *, after: str = "", limit: int) -> list[EndedTrigger]:
        rows = tx.execute(_TO_REMOVE, {"after": after, "limit": limit})
        return [EndedTrigger(row.id, row.vendor_id or "", row.account_id or "") for row in rows]

    @reads
    def known_at(self, tx: Tx, account_id: str) -> Sequence[str] | None:
        rows = tx.execute(_AT_ACCOUNT, {"account": account_id}).all()
        if any(row.status == TriggerStatus.CREATING.value for row in rows):
            return None
        return [row.vendor_id for row in rows if row.vendor_id]

    @writes(in_order_of="trigger_id")
    def removed(self, tx: Tx, trigger_id: str) -> None:
        tx.execute(_LOCKED, {"of": trigger_id})  # before its events, as in every other transaction
        tx.execute(_DELETE_EVENTS, {"of": trigger_id})
        tx.execute(_DELETE, {"of": trigger_id})
