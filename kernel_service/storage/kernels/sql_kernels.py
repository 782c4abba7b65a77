"""The lease of each person's kernel, and the recent history from which a kernel starts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, select, update

from kernel_service.kernels.history import WINDOW_BYTES
from kernel_service.ports.kernels import Activation
from kernel_service.ports.turns import HistoryItem
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.keys import damage
from kernel_service.storage.people import leases
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.turns import TURN_OPEN, item, turn
from kernel_service.storage.turns.context import CONTEXT_START
from kernel_service.storage.turns.items import item_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

PAGE: Final = 200
"""Items per read, since only the recent end of a long history is needed."""

_NEWEST = (
    select(item.c.seq, item.c.turn_id, item.c.kind, item.c.origin, item.c.data)
    .where(
        item.c.person_id == bindparam("person"),
        item.c.seq < bindparam("before"),
        item.c.seq >= CONTEXT_START,
        ~item.c.superseded,
    )
    .order_by(item.c.seq.desc())
    .limit(bindparam("limit", type_=Integer))
)
_OPEN_TURN = select(turn.c.id).where(turn.c.person_id == bindparam("person"), TURN_OPEN).scalar_subquery()
_OF_CONTEXT = select(kernel.c.context_tokens, _OPEN_TURN.label("open_turn")).where(
    kernel.c.person_id == bindparam("person")
)
_PAST_ALL: Final = 2**63 - 1
_RELEASE = (
    update(kernel).where(kernel.c.person_id == bindparam("person"), kernel.c.epoch == bindparam("of")).values(owner="")
)


class SqlKernels(SqlPort):
    """Fills `KernelStore`."""

    @writes(in_order_of="person_id")
    def activate(self, tx: Tx, person_id: str, *, owner: str) -> Activation:
        epoch = leases.take(tx, person_id, owner)
        recent = list(_recent(tx, person_id))[::-1]
        damaged = {row.turn_id for row, data in recent if data is None}
        if damaged:
            log.error("alert: history damaged, left out turns=%s person=%s", ",".join(sorted(damaged)), person_id)
            damage.leave_out(tx, person_id, damaged)
        kept = [(row, data) for row, data in recent if data and row.turn_id not in damaged]
        history = [HistoryItem(row.kind, data, row.origin) for row, data in kept]
        of = tx.execute(_OF_CONTEXT, {"person": person_id}).one()
        return Activation(
            person_id,
            epoch,
            history,
            context_tokens=of.context_tokens,
            open_items=sum(row.turn_id == of.open_turn for row, _ in kept),
        )

    @writes(in_order_of="person_id")
    def release(self, tx: Tx, person_id: str, epoch: int) -> None:
        tx.execute(_RELEASE, {"person": person_id, "of": epoch})

    @writes()
    def release_all(self, tx: Tx, held: Mapping[str, int]) -> None:
        # In a fixed order, so that two transactions cannot deadlock.
        if held:
            tx.execute(_RELEASE, [{"person": person_id, "of": epoch} for person_id, epoch in sorted(held.items())])

    @reads
    def epoch(self, tx: Tx, person_id: str) -> int:
        return leases.stored_epoch(tx, person_id)


def _recent(tx: Tx, person_id: str) -> Iterator[tuple[Row[Any], dict[str, Any] | None]]:
    """Newest first, as far back as a turn looks. A turn starts its context at a message. None: a damaged item."""
    before, size = _PAST_ALL, 0
    while rows := tx.execute(_NEWEST, {"person": person_id, "before": before, "limit": PAGE}).all():
        for row in rows:
            yield row, damage.object_of(tx, person_id, row.data, item_place(person_id, row.seq))
            size += len(row.data)
        if len(rows) < PAGE or size > WINDOW_BYTES:
            return
        before = rows[-1].seq
