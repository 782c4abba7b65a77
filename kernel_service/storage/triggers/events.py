"""Events of triggers: each is kept once, gathered, and put into its person's inbox with others as one message."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Float, Integer, bindparam, exists, func, insert, null, select, update

from kernel_service.clock import DAY_SECONDS
from kernel_service.ports.commands import UNPROMPTED, Command
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.messages import Notice, Reply
from kernel_service.ports.payloads import Triggered
from kernel_service.ports.triggers import MOST_WAITING, EventOutcome, ToldEvents, TriggerStatus
from kernel_service.storable import to_json
from kernel_service.storage.inbox import own_messages
from kernel_service.storage.outbox import replies
from kernel_service.storage.people.people import staying
from kernel_service.storage.people.served import is_served
from kernel_service.storage.schema.connections import connection
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.outbox import reply
from kernel_service.storage.schema.triggers import trigger, trigger_event
from kernel_service.storage.sealing.ciphers import place
from kernel_service.storage.triggers import same_events
from kernel_service.storage.triggers.rows import event_of, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.ports.triggers import Trigger, TriggerEvent, TriggerLimits
    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

BUSY_SECONDS: Final = 60.0
"""The retry delay while the message about earlier events is not answered, or the person is silent."""
PUT_OFF_SECONDS: Final = 3600.0
"""The retry delay while the operator's settings exclude the events."""
SILENT_SECONDS: Final = DAY_SECONDS
SILENT_MESSAGES: Final = 5
"""After that many replies to a person who has written nothing in SILENT_SECONDS, events wait until they write."""

_WHOSE = select(trigger.c.person_id).where(trigger.c.vendor_id == bindparam("vendor"))
_WATCHED = (
    select(trigger)
    .join(connection, connection.c.id == trigger.c.connection_id)
    .where(
        trigger.c.vendor_id == bindparam("vendor"),
        trigger.c.status == TriggerStatus.ACTIVE.value,
        connection.c.status == ConnectionStatus.ACTIVE.value,
        connection.c.account_id == bindparam("account"),
        func.coalesce(func.nullif(connection.c.made_for, ""), connection.c.person_id) == bindparam("holder"),
    )
    .with_for_update(of=trigger)
)
_BEING_CREATED = select(
    exists()
    .where(trigger.c.status == TriggerStatus.CREATING.value, trigger.c.connection_id == connection.c.id)
    .where(connection.c.account_id == bindparam("account"))
)
_KNOWN = select(exists().where(trigger_event.c.digest == bindparam("of_digest")))
_is_waiting = trigger_event.c.words.is_not(None)
_WAITING = (
    select(trigger_event)
    .where(trigger_event.c.trigger_id == bindparam("of"), _is_waiting)
    .order_by(trigger_event.c.received_at, trigger_event.c.digest)
)
_HOW_MANY = select(func.count()).where(trigger_event.c.trigger_id == bindparam("of"), _is_waiting)
_ADD = insert(trigger_event)
_of_trigger = update(trigger).where(trigger.c.id == bindparam("of"))
_DUE_AT = _of_trigger.values(due_at=bindparam("at", type_=Float))
_UNSEEN = _of_trigger.values(unseen=trigger.c.unseen + 1)
_DELIVERED = _of_trigger.values(
    due_at=null(), unseen=0, told_seq=bindparam("seq", type_=Integer), told_at=bindparam("at", type_=Float)
)
_LIMITED = _of_trigger.values(limited_at=bindparam("at", type_=Float))
_CLEAR = update(trigger_event).where(trigger_event.c.trigger_id == bindparam("of"), _is_waiting).values(words=null())
_HEAD = (
    update(trigger_event)
    .where(trigger_event.c.digest == bindparam("of_digest"))
    .values(told_at=bindparam("at", type_=Float))
)
_PERSON = select(trigger.c.person_id).where(trigger.c.id == bindparam("of"))
_DUE = (
    select(trigger)
    .where(
        trigger.c.id == bindparam("of"),
        trigger.c.status == TriggerStatus.ACTIVE.value,
        trigger.c.due_at <= bindparam("now", type_=Float),
    )
    .with_for_update(skip_locked=True)
)
_TOOLKIT = select(connection.c.toolkit).where(connection.c.id == bindparam("of"))
_UNANSWERED = select(exists().where(message.c.seq == bindparam("seq", type_=Integer), MESSAGE_OPEN))
_WROTE = (
    select(message.c.seq, message.c.accepted_at)
    .where(
        message.c.person_id == bindparam("person"),
        *(message.c.command != each.value for each in UNPROMPTED),
    )
    .order_by(message.c.seq.desc())
    .limit(1)
)
# Counts messages with a reply: without one, the events were not relevant to the person.
_SENT_SINCE = select(func.count()).where(
    message.c.person_id == bindparam("person"),
    message.c.seq > bindparam("since", type_=Integer),
    message.c.command == Command.TRIGGERED.value,
    exists().where(reply.c.turn_id == message.c.turn_id),
)
_DELIVERED_SINCE = select(func.count()).where(
    trigger_event.c.person_id == bindparam("person"), trigger_event.c.told_at >= bindparam("since", type_=Float)
)
_WAS_LIMITED = select(
    exists().where(trigger.c.person_id == bindparam("person"), trigger.c.limited_at >= bindparam("since", type_=Float))
)


def watched(tx: Tx, event: TriggerEvent) -> Row[Any] | None:
    """The active trigger of the event, locked, if the event names its account and the account's holder."""
    person_id = tx.execute(_WHOSE, {"vendor": event.vendor_id}).scalar_one_or_none()
    if person_id is None:
        return None
    if staying(tx, person_id) is None:
        return None
    named = {"vendor": event.vendor_id, "account": event.account_id, "holder": event.holder}
    return tx.execute(_WATCHED, named).one_or_none()


def receive(tx: Tx, event: TriggerEvent, now: float, limits: TriggerLimits) -> EventOutcome:
    row = watched(tx, event)
    if row is not None and not is_served(tx, row.person_id, row.channel, limits.allowed):
        return EventOutcome.NOT_OURS
    if row is None:
        is_early = tx.execute(_BEING_CREATED, {"account": event.account_id}).scalar_one()
        return EventOutcome.TOO_EARLY if is_early else EventOutcome.NOT_OURS
    digest = tx.digests.payload(to_json(["event", event.id]))
    if tx.execute(_KNOWN, {"of_digest": digest}).scalar_one():
        return EventOutcome.KEPT
    if int(tx.execute(_HOW_MANY, {"of": row.id}).scalar_one()) >= MOST_WAITING:
        tx.execute(_UNSEEN, {"of": row.id})
        return EventOutcome.KEPT
    where = place(trigger_event.c.words, digest)
    words = tx.cipher_of(row.person_id).seal_json([event.id, event.data], where)
    kept = {"digest": digest, "person_id": row.person_id, "trigger_id": row.id, "words": words, "received_at": now}
    tx.execute(_ADD, kept)
    if row.due_at is None:
        earliest = 0.0 if row.told_at is None else row.told_at + limits.gather_seconds
        tx.execute(_DUE_AT, {"of": row.id, "at": max(now + limits.settle_seconds, earliest)})
    return EventOutcome.KEPT


def tell(tx: Tx, trigger_id: str, now: float, limits: TriggerLimits, limited: str) -> ToldEvents | None:
    """Holds the person's lock, so that no merge leaves the message behind."""
    person_id = tx.execute(_PERSON, {"of": trigger_id}).scalar_one_or_none()
    if person_id is None:
        return None
    if staying(tx, person_id) is None:
        return None
    row = tx.execute(_DUE, {"of": trigger_id, "now": now}).one_or_none()
    if row is None:
        return None
    if seconds := _waits(tx, row, now, limits):
        tx.execute(_DUE_AT, {"of": row.id, "at": now + seconds})
        return None
    if _is_over_limit(tx, row, now, limits):
        return _put_off(tx, row, now, limited)
    return _put(tx, row, now, limits)


def _waits(tx: Tx, row: Row[Any], now: float, limits: TriggerLimits) -> float:
    """Seconds until the next attempt. 0: the events become a message now."""
    if not _is_allowed(tx, row, limits):
        return PUT_OFF_SECONDS
    is_unanswered = row.told_seq is not None and tx.execute(_UNANSWERED, {"seq": row.told_seq}).scalar_one()
    return BUSY_SECONDS if is_unanswered or _is_silent(tx, row.person_id, now) else 0.0


def _is_allowed(tx: Tx, row: Row[Any], limits: TriggerLimits) -> bool:
    """Whether the operator's settings still allow it. They may have changed since the events arrived."""
    toolkit = tx.execute(_TOOLKIT, {"of": row.connection_id}).scalar_one_or_none()
    is_allowed = not limits.toolkits or toolkit in limits.toolkits
    return is_allowed and is_served(tx, row.person_id, row.channel, limits.allowed)


def _is_silent(tx: Tx, person_id: str, now: float) -> bool:
    """Whether the person probably does not read the messages. WhatsApp holds messages to such a person, too."""
    wrote = tx.execute(_WROTE, {"person": person_id}).one_or_none()
    if wrote is not None and wrote.accepted_at > now - SILENT_SECONDS:
        return False
    since = {"person": person_id, "since": 0 if wrote is None else wrote.seq}
    return int(tx.execute(_SENT_SINCE, since).scalar_one()) >= SILENT_MESSAGES


def _is_over_limit(tx: Tx, row: Row[Any], now: float, limits: TriggerLimits) -> bool:
    today = {"person": row.person_id, "since": _midnight(now)}
    return int(tx.execute(_DELIVERED_SINCE, today).scalar_one()) >= limits.daily_messages


def _put_off(tx: Tx, row: Row[Any], now: float, limited: str) -> ToldEvents:
    """The events wait for the next day.

    The person is informed once a day, regardless of the number of their triggers.
    """
    tx.execute(_DUE_AT, {"of": row.id, "at": _midnight(now) + DAY_SECONDS})
    if tx.execute(_WAS_LIMITED, {"person": row.person_id, "since": _midnight(now)}).scalar_one():
        return ToldEvents(row.person_id)
    tx.execute(_LIMITED, {"of": row.id, "at": now})
    replies.notify(tx, row.person_id, Notice(Reply(limited), row.channel, row.address, at=now))
    return ToldEvents(row.person_id, notice_in=row.channel)


def _put(tx: Tx, row: Row[Any], now: float, limits: TriggerLimits) -> ToldEvents:
    waiting = tx.execute(_WAITING, {"of": row.id}).all()
    readable, known = [event for each in waiting if (event := event_of(tx, each)) is not None], opened(tx, row)
    seq = None
    if readable and known is not None:
        [first_id, _] = readable[0]
        others = same_events.take(tx, row, [data for _, data in readable])
        seq = own_messages.put(
            tx,
            row.person_id,
            channel=row.channel,
            address=row.address,
            message_id=f"trigger:{first_id}",
            content=_content(known, [data for _, data in readable], row.unseen, others),
            command=Command.TRIGGERED,
            now=now,
        )
        tx.execute(_HEAD, {"of_digest": waiting[0].digest, "at": now})
        same_events.told(tx, others, seq, now, limits)
    else:
        log.error("alert: events dropped trigger=%s person=%s", row.id, row.person_id)
    tx.execute(_CLEAR, {"of": row.id})
    tx.execute(_DELIVERED, {"of": row.id, "seq": seq, "at": now})
    return ToldEvents(row.person_id, seq)


def _content(known: Trigger, events: Sequence[Any], unseen: int, others: Sequence[Trigger]) -> Triggered:
    more = [{"further_events": unseen, "note": "They are not shown here."}] if unseen else []
    content = to_json([*events, *more]).decode()
    requests = "\n".join(dict.fromkeys(each.asked.request for each in (known, *others)))
    ids = tuple(each.id for each in others)
    return Triggered(known.id, known.asked.account, known.asked.name, requests, content, ids)


def _midnight(now: float) -> float:
    """The start of the day (UTC)."""
    return now - now % DAY_SECONDS
