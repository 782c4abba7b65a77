"""One event that fits several requests of a person: the vendor tells it for each, and the person hears of it once.

Their triggers watch the same account. The events are the same if their data is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Float, Integer, bindparam, exists, null, select, update

from kernel_service.ports.triggers import TriggerStatus
from kernel_service.storage.schema.triggers import trigger, trigger_event
from kernel_service.storage.triggers.rows import event_of, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.ports.triggers import Trigger, TriggerLimits
    from kernel_service.storage.engine.engine import Tx

_waits = trigger_event.c.words.is_not(None)
_OTHERS = (
    select(trigger)
    .where(
        trigger.c.person_id == bindparam("person"),
        trigger.c.connection_id == bindparam("account"),
        trigger.c.id != bindparam("told"),
        trigger.c.channel == bindparam("in_channel"),
        trigger.c.address == bindparam("at_address"),
        trigger.c.status == TriggerStatus.ACTIVE.value,
        trigger.c.due_at.is_not(None),
    )
    .order_by(trigger.c.id)
    .with_for_update()
)
_WAITING = select(trigger_event).where(trigger_event.c.trigger_id == bindparam("of"), _waits)
_CLEAR = update(trigger_event).where(trigger_event.c.digest == bindparam("of_digest")).values(words=null())
_of_trigger = update(trigger).where(trigger.c.id == bindparam("of"))
_MORE = select(exists().where(trigger_event.c.trigger_id == bindparam("of"), _waits))
_TOLD = _of_trigger.values(told_seq=bindparam("seq", type_=Integer), told_at=bindparam("at", type_=Float))
_NONE_WAITS = _of_trigger.values(due_at=null(), unseen=0)
_LATER = _of_trigger.values(due_at=bindparam("at", type_=Float))


def take(tx: Tx, told: Row[Any], data: Sequence[Any]) -> list[Trigger]:
    """The person's other triggers for which events with this data wait. Those events wait no longer."""
    watched = {
        "person": told.person_id,
        "account": told.connection_id,
        "told": told.id,
        "in_channel": told.channel,
        "at_address": told.address,
    }
    others = []
    for row in tx.execute(_OTHERS, watched).all():
        same = [each.digest for each in tx.execute(_WAITING, {"of": row.id}).all() if _is_one_of(tx, each, data)]
        if same and (known := opened(tx, row)) is not None:
            tx.execute(_CLEAR, [{"of_digest": digest} for digest in same])
            others.append(known)
    return others


def told(tx: Tx, others: Sequence[Trigger], seq: int | None, now: float, limits: TriggerLimits) -> None:
    """Their events are in the message `seq`. Further ones wait as after a separate message."""
    for each in others:
        tx.execute(_TOLD, {"of": each.id, "seq": seq, "at": now})
        if tx.execute(_MORE, {"of": each.id}).scalar_one():
            tx.execute(_LATER, {"of": each.id, "at": now + limits.gather_seconds})
        else:
            tx.execute(_NONE_WAITS, {"of": each.id})


def _is_one_of(tx: Tx, event: Row[Any], data: Sequence[Any]) -> bool:
    words = event_of(tx, event)
    return words is not None and words[1] in data
