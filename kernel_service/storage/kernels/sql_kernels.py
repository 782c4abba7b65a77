"""The lease of each person's kernel, and the recent history from which a kernel starts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, update

from kernel_service.ports.kernels import Activation
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.kernels.recent_items import recent_items, turns_of
from kernel_service.storage.keys import damage
from kernel_service.storage.people import leases
from kernel_service.storage.schema.kernels import kernel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel_service.ports.kernels import KernelLease
    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

_RELEASE = (
    update(kernel).where(kernel.c.person_id == bindparam("person"), kernel.c.epoch == bindparam("of")).values(owner="")
)


class SqlKernels(SqlPort):
    """Fills `KernelStore`."""

    @writes(in_order_of="person_id")
    def activate(self, tx: Tx, person_id: str, *, owner: str) -> Activation:
        taken = leases.take(tx, person_id, owner)
        recent = recent_items(tx, person_id)
        while recent.damaged:
            turns = turns_of(tx, person_id, recent.damaged)
            log.error("alert: history damaged, left out turns=%s person=%s", ",".join(turns), person_id)
            damage.leave_out(tx, person_id, turns)
            recent = recent_items(tx, person_id)
        return Activation(
            person_id, taken.epoch, recent.items, taken.context_tokens, recent.open_items, taken.owner_before
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
    def lease(self, tx: Tx, person_id: str) -> KernelLease:
        return leases.stored(tx, person_id)
