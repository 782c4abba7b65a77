"""Messages that were given up: shown to operators, and let run again at their word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, bindparam, select, update

from kernel_service.errors import NotFound
from kernel_service.ports.admin import DeadLetter
from kernel_service.ports.messages import MessageStatus
from kernel_service.storage.schema.schema import dead_letter, message

if TYPE_CHECKING:
    from sqlalchemy import Select

    from kernel_service.storage.engine.engine import Tx

_NEWEST = (
    select(dead_letter)
    .where(dead_letter.c.id < bindparam("before"), dead_letter.c.requeued_at.is_(None))
    .order_by(dead_letter.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
)
_NEWEST_OF = _NEWEST.where(dead_letter.c.person_id == bindparam("person"))
_ONE = select(dead_letter).where(dead_letter.c.id == bindparam("of")).with_for_update()
_REQUEUED = update(dead_letter).where(dead_letter.c.id == bindparam("of")).values(requeued_at=bindparam("at"))
_WAIT_AGAIN = (
    update(message)
    .where(message.c.seq == bindparam("of"), message.c.status == MessageStatus.DEAD_LETTERED.value)
    .values(status=MessageStatus.ACCEPTED.value, turn_id=None, alone=True)
)
# After every id, in any collation.
_PAST_ALL = "e"


def dead_letters(tx: Tx, person_id: str | None, *, limit: int, before: str) -> tuple[list[DeadLetter], str]:
    page: dict[str, Any] = {"before": before or _PAST_ALL, "limit": limit + 1}
    found: Select[Any] = _NEWEST
    if person_id is not None:
        found, page["person"] = _NEWEST_OF, person_id
    rows = tx.execute(found, page).all()
    shown = [DeadLetter(row.id, row.person_id, row.message_seq, row.problem, row.dead_at) for row in rows[:limit]]
    return shown, shown[-1].id if len(rows) > limit else ""


def requeue(tx: Tx, dead_letter_id: str, *, now: float) -> str:
    row = tx.execute(_ONE, {"of": dead_letter_id}).one_or_none()
    if row is None:
        raise NotFound("DEAD_LETTER_NOT_FOUND", "there is no such dead letter, or it is no longer kept")
    if row.requeued_at is None:
        tx.execute(_WAIT_AGAIN, {"of": row.message_seq})
        tx.execute(_REQUEUED, {"of": row.id, "at": now})
    return str(row.person_id)
