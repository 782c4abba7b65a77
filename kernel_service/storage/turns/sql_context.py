"""The model's context: how much of the history it contains, and whose reasoning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Integer, and_, bindparam, func, literal, select, update

from kernel_service.errors import Unreadable
from kernel_service.ports.turns import OUTSIDE, SEALED, TAINTED
from kernel_service.storage.engine.units import SqlPort, writes
from kernel_service.storage.keys import packed_copies
from kernel_service.storage.people import leases
from kernel_service.storage.people.people import surviving
from kernel_service.storage.schema.turns import TURN_OPEN, item, turn
from kernel_service.storage.turns import context
from kernel_service.storage.turns.context import CONTEXT_START
from kernel_service.storage.turns.items import add_items
from kernel_service.storage.turns.recent_items import readable_items
from kernel_service.storage.usage.reservations import pay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.messages import Usage
    from kernel_service.ports.turns import HistoryItem
    from kernel_service.storage.engine.engine import Tx

_mine = item.c.person_id == bindparam("person")
_KEPT = (
    select(item.c.seq)
    .where(_mine, item.c.seq >= CONTEXT_START, ~item.c.superseded)
    .order_by(item.c.seq.desc())
    .limit(1)
    .offset(bindparam("skipped", type_=Integer))
)
_open_turn = select(turn.c.id).where(turn.c.person_id == bindparam("person"), TURN_OPEN).scalar_subquery()
_FIRST_OF_OPEN = select(func.min(item.c.seq)).where(_mine, item.c.turn_id == _open_turn, ~item.c.superseded)
_newest_input = (
    select(func.max(item.c.seq))
    .where(_mine, item.c.turn_id == _open_turn, item.c.kind == literal("input"), ~item.c.superseded)
    .scalar_subquery()
)
_TAINT = update(item).where(_mine, item.c.seq == _newest_input).values(origin=literal(OUTSIDE))
_DISOWN = (
    update(item)
    .where(_mine, item.c.seq >= CONTEXT_START, item.c.origin.in_((bindparam("of"), literal(TAINTED) + bindparam("of"))))
    .values(origin=literal(SEALED) + item.c.origin)
)
_last_of_context = (
    select(item.c.turn_id)
    .where(_mine, item.c.seq >= CONTEXT_START, ~item.c.superseded)
    .order_by(item.c.seq.desc())
    .limit(1)
    .scalar_subquery()
)
_IS_LAST = select(and_(func.coalesce(_last_of_context, "") == bindparam("turn"), _open_turn.is_(None)))
"""Whether the context ends with the items of this turn, and no turn is open."""
# The turn may have been put off because of an item that is hidden now.
_TRY_AGAIN = update(turn).where(turn.c.person_id == bindparam("person"), TURN_OPEN).values(not_before=None, attempts=0)


class SqlContext(SqlPort):
    """Fills `ContextStore`."""

    @writes(in_order_of="person_id")
    def shrink(self, tx: Tx, person_id: str, epoch: int, *, keep: int, tokens: int = 0, tainted: bool = False) -> None:
        leases.fence(tx, person_id, epoch)
        if tainted:
            tx.execute(_TAINT, {"person": person_id})
        if tokens:
            context.limit(tx, person_id, tokens)
        if not keep:
            context.start_at(tx, person_id, context.next_seq(tx, person_id))
            return
        first = tx.execute(_KEPT, {"person": person_id, "skipped": keep - 1}).scalar_one_or_none()
        if first is not None:
            context.start_at(tx, person_id, first)

    @writes(in_order_of="person_id")
    def reset(self, tx: Tx, person_id: str) -> str:
        person_id = surviving(tx, person_id, stays=True)
        _check_key(tx, person_id)
        first = tx.execute(_FIRST_OF_OPEN, {"person": person_id}).scalar_one_or_none()
        context.start_over(tx, person_id, first)
        tx.execute(_TRY_AGAIN, {"person": person_id})
        return person_id

    @writes(in_order_of="person_id")
    def outdate(self, tx: Tx, person_id: str) -> bool:
        return leases.outdate(tx, person_id)

    @writes(in_order_of="person_id")
    def disown_reasoning(self, tx: Tx, person_id: str, epoch: int, origin: str) -> None:
        leases.fence(tx, person_id, epoch)
        tx.execute(_DISOWN, {"person": person_id, "of": origin})
        packed_copies.drop(tx, person_id)

    @writes(in_order_of="person_id")
    def keep_summary(
        self,
        tx: Tx,
        person_id: str,
        epoch: int,
        turn_id: str,
        summary: HistoryItem | None,
        *,
        usage: Usage,
        settles: Sequence[str] = (),
        now: float,
    ) -> bool:
        leases.fence(tx, person_id, epoch)
        pay(tx, person_id, usage, settles, now)
        if summary is None or not tx.execute(_IS_LAST, {"person": person_id, "turn": turn_id}).scalar_one():
            return False
        add_items(tx, person_id, turn_id, [summary], now, start=context.next_seq(tx, person_id))
        return True

    @writes(in_order_of="person_id")
    def ended_turns(self, tx: Tx, person_id: str, epoch: int, model: str) -> list[HistoryItem]:
        leases.fence(tx, person_id, epoch)
        recent = readable_items(tx, person_id, model)
        return recent.items[: len(recent.items) - recent.open_items]


def _check_key(tx: Tx, person_id: str) -> None:
    """Raises `Unreadable`, with the remedy, if the person's own key does not open: a reset does not help then."""
    try:
        tx.cipher_of(person_id)
    except Unreadable as error:
        if error.reason != "SEALED_VALUE_DAMAGED":
            raise
        raise Unreadable(
            error.reason,
            "the person's own key does not open, and a reset cannot repair it; restore `person.data_key` from a backup "
            "or put the key that wrapped it into KERNEL_ENCRYPTION_KEYS",
            person_id=person_id,
        ) from None
