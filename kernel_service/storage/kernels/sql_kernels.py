"""The lease of each person's kernel, and the recent history from which a kernel starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, update

from kernel_service.ports.kernels import Activation
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.people import leases
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.turns import packed_turns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel_service.ports.kernels import KernelLease
    from kernel_service.storage.engine.engine import Tx

_RELEASE = (
    update(kernel).where(kernel.c.person_id == bindparam("person"), kernel.c.epoch == bindparam("of")).values(owner="")
)


class SqlKernels(SqlPort):
    """Fills `KernelStore`."""

    @writes(in_order_of="person_id")
    def activate(self, tx: Tx, person_id: str, *, owner: str, model: str = "") -> Activation:
        taken = leases.take(tx, person_id, owner)
        recalled = packed_turns.recall(tx, person_id, model)
        return Activation(
            person_id,
            taken.epoch,
            recalled.items,
            taken.context_tokens,
            recalled.open_items,
            taken.owner_before,
            model,
            recalled.packed,
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
