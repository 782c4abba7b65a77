"""What the model is shown: from where on, how much, and whose reasoning.

What it is not shown stays in the history, for the person and for operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Integer, bindparam, func, literal, select, update

from kernel_service.errors import Conflict
from kernel_service.ports.turns import SEALED
from kernel_service.storage.people import leases
from kernel_service.storage.people.people import surviving
from kernel_service.storage.schema.schema import TURN_OPEN, item, kernel, turn

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx

_mine = item.c.person_id == bindparam("person")
CONTEXT_START = select(kernel.c.context_start).where(kernel.c.person_id == bindparam("person")).scalar_subquery()
"""In a statement: the number of the first item that the person's model is shown."""

_LAST = select(
    select(func.coalesce(func.max(item.c.seq), 0)).where(_mine).scalar_subquery().label("last"),
    CONTEXT_START.label("start"),
)
_KEPT = (
    select(item.c.seq)
    .where(_mine, item.c.seq >= CONTEXT_START, ~item.c.superseded)
    .order_by(item.c.seq.desc())
    .limit(1)
    .offset(bindparam("skipped", type_=Integer))
)
_open_turn = select(turn.c.id).where(turn.c.person_id == bindparam("person"), TURN_OPEN).scalar_subquery()
_FIRST_OF_OPEN = select(func.min(item.c.seq)).where(_mine, item.c.turn_id == _open_turn, ~item.c.superseded)
_BEGIN = (
    update(kernel)
    .where(kernel.c.person_id == bindparam("person"), kernel.c.context_start < bindparam("at"))
    .values(context_start=bindparam("at"))
)
_LIMIT = update(kernel).where(kernel.c.person_id == bindparam("person")).values(context_tokens=bindparam("most"))
_TOKENS = select(kernel.c.context_tokens).where(kernel.c.person_id == bindparam("person"))

_DISOWN = (
    update(item)
    .where(_mine, item.c.seq >= CONTEXT_START, item.c.origin == bindparam("of"))
    .values(origin=literal(SEALED) + item.c.origin)
)
# It may have been put off because of what is left behind now.
_TRY_AGAIN = update(turn).where(turn.c.person_id == bindparam("person"), TURN_OPEN).values(not_before=None, attempts=0)


def next_seq(tx: Tx, person_id: str) -> int:
    """The number of the next item: behind all others, and behind the start, where they may have been deleted."""
    row = tx.execute(_LAST, {"person": person_id}).one()
    return int(max(row.last + 1, row.start))


def tokens_of(tx: Tx, person_id: str) -> int:
    return int(tx.execute(_TOKENS, {"person": person_id}).scalar_one())


def disown(tx: Tx, person_id: str, epoch: int, origin: str) -> None:
    leases.fence(tx, person_id, epoch)
    tx.execute(_DISOWN, {"person": person_id, "of": origin})


def shrink(tx: Tx, person_id: str, epoch: int, *, keep: int, tokens: int) -> None:
    leases.fence(tx, person_id, epoch)
    if tokens:
        tx.execute(_LIMIT, {"person": person_id, "most": tokens})
    if not keep:
        return _begin(tx, person_id, next_seq(tx, person_id))
    first = tx.execute(_KEPT, {"person": person_id, "skipped": keep - 1}).scalar_one_or_none()
    if first is not None:
        _begin(tx, person_id, first)
    return None


def reset(tx: Tx, asked_for: str) -> str:
    person_id = surviving(tx, asked_for, stays=True)
    _check_key(tx, person_id)
    first = tx.execute(_FIRST_OF_OPEN, {"person": person_id}).scalar_one_or_none()
    _begin_afresh(tx, person_id, next_seq(tx, person_id) if first is None else first)
    tx.execute(_TRY_AGAIN, {"person": person_id})
    return person_id


def _check_key(tx: Tx, person_id: str) -> None:
    """A reset that cannot help says so. Conflict SEALED_VALUE_DAMAGED, SEALING_KEY_UNKNOWN."""
    try:
        tx.cipher_of(person_id)
    except Conflict as error:
        if error.reason != "SEALED_VALUE_DAMAGED":
            raise
        raise Conflict(
            error.reason,
            "the person's own key does not open, and no reset mends that; restore `person.data_key` from a backup, or "
            "put the key that wrapped it into KERNEL_ENCRYPTION_KEYS",
            person_id=person_id,
        ) from None


def begin_afresh(tx: Tx, person_id: str) -> None:
    """Nothing that is stored so far is shown any more, and as much as anybody's from here on."""
    _begin_afresh(tx, person_id, next_seq(tx, person_id))


def _begin_afresh(tx: Tx, person_id: str, at: int) -> None:
    _begin(tx, person_id, at)
    tx.execute(_LIMIT, {"person": person_id, "most": 0})


def _begin(tx: Tx, person_id: str, at: int) -> None:
    tx.execute(_BEGIN, {"person": person_id, "at": at})
