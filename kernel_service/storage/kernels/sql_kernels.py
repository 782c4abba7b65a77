"""The lease of each person's kernel, and the recent history from which a kernel starts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select, update

from kernel_service.ports.kernels import Activation
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.kernels.recent_items import recent_items
from kernel_service.storage.keys import damage
from kernel_service.storage.people import leases
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.turns import TURN_OPEN, turn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

_OPEN_TURN = select(turn.c.id).where(turn.c.person_id == bindparam("person"), TURN_OPEN).scalar_subquery()
_OF_CONTEXT = select(kernel.c.context_tokens, _OPEN_TURN.label("open_turn")).where(
    kernel.c.person_id == bindparam("person")
)
_RELEASE = (
    update(kernel).where(kernel.c.person_id == bindparam("person"), kernel.c.epoch == bindparam("of")).values(owner="")
)


class SqlKernels(SqlPort):
    """Fills `KernelStore`."""

    @writes(in_order_of="person_id")
    def activate(self, tx: Tx, person_id: str, *, owner: str) -> Activation:
        epoch = leases.take(tx, person_id, owner)
        of = tx.execute(_OF_CONTEXT, {"person": person_id}).one()
        recent = list(recent_items(tx, person_id, of.open_turn or ""))[::-1]
        damaged = {turn_id for turn_id, item in recent if item is None}
        if damaged:
            log.error("alert: history damaged, left out turns=%s person=%s", ",".join(sorted(damaged)), person_id)
            damage.leave_out(tx, person_id, damaged)
        kept = [(turn_id, item) for turn_id, item in recent if item is not None and turn_id not in damaged]
        history, open_items = [item for _, item in kept], sum(turn_id == of.open_turn for turn_id, _ in kept)
        return Activation(person_id, epoch, history, of.context_tokens, open_items)

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
