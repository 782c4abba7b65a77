"""The state of a person before a write of their turn, in one statement.

It has the fence, the number of the next item, and the first message that waits for a turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, select

from kernel_service.storage.inbox.sent_order import SENT_ORDER
from kernel_service.storage.people import leases
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.turns.context import LAST_ITEM

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx

WAITS = and_(message.c.person_id == kernel.c.person_id, MESSAGE_OPEN, message.c.turn_id.is_(None))
"""In a join with `kernel`: the message waits for a turn."""

_STANDING = (
    select(
        kernel.c.epoch,
        kernel.c.context_start,
        LAST_ITEM.label("last_item"),
        message.c.seq.label("waiting"),
        message.c.channel,
        message.c.address,
        message.c.reply_mode,
        message.c.alone,
        message.c.waits_until,
    )
    .select_from(kernel.outerjoin(message, WAITS))
    .where(kernel.c.person_id == bindparam("person"))
    .order_by(*SENT_ORDER)
    .limit(1)
    .with_for_update(read=True, of=kernel)
)


def standing(tx: Tx, person_id: str, epoch: int) -> Row[Any]:
    """The row, whose `waiting` is null if no message waits. The lease stays locked until the transaction ends.

    Raises `LeaseLost` unless the epoch is the current owner's.
    """
    return leases.own(tx.execute(_STANDING, {"person": person_id}).one_or_none(), epoch)
