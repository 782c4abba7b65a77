"""The model's context: where it starts, its limit, and whose reasoning it contains.

Items outside the context stay in the history, for the person and for operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select, update

from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.turns import item

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx

_mine = item.c.person_id == bindparam("person")
CONTEXT_START = select(kernel.c.context_start).where(kernel.c.person_id == bindparam("person")).scalar_subquery()
"""In a statement: the number of the first item in the person's context."""
LAST_ITEM = select(func.coalesce(func.max(item.c.seq), 0)).where(_mine).scalar_subquery()
"""In a statement: the number of the person's last item; 0: they have none."""

_LAST = select(LAST_ITEM.label("last"), CONTEXT_START.label("start"))
_BEGIN = (
    update(kernel)
    .where(kernel.c.person_id == bindparam("person"), kernel.c.context_start < bindparam("at"))
    .values(context_start=bindparam("at"))
)
_LIMIT = update(kernel).where(kernel.c.person_id == bindparam("person")).values(context_tokens=bindparam("most"))


def next_seq(tx: Tx, person_id: str) -> int:
    row = tx.execute(_LAST, {"person": person_id}).one()
    return following(row.last, row.start)


def following(last: int, start: int) -> int:
    """The next item's number: after all others, and after the context's start, whose items may be deleted."""
    return max(last + 1, start)


def limit(tx: Tx, person_id: str, tokens: int) -> None:
    """Limit the context to that many tokens of the history; 0: the default limit."""
    tx.execute(_LIMIT, {"person": person_id, "most": tokens})


def start_over(tx: Tx, person_id: str, at: int | None = None) -> None:
    """Exclude all items before that one, by default every stored item, and lift the limit."""
    start_at(tx, person_id, next_seq(tx, person_id) if at is None else at)
    limit(tx, person_id, 0)


def start_at(tx: Tx, person_id: str, at: int) -> None:
    """Exclude all items before the one of that number; excluded items stay excluded."""
    tx.execute(_BEGIN, {"person": person_id, "at": at})
