"""Ownership of kernels: the lease row of each person, its epoch, and the fence before every write of an owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, exists, select, update

from kernel_service.errors import LeaseLost, NotFound
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.people import person

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx

_EPOCH = select(kernel.c.epoch).where(kernel.c.person_id == bindparam("person"))
_FENCE = _EPOCH.with_for_update(read=True)
_MERGED = exists().where(person.c.id == kernel.c.person_id, person.c.merged_into.is_not(None))
_TAKE = (
    update(kernel)
    .where(kernel.c.person_id == bindparam("person"), ~_MERGED)
    .values(epoch=kernel.c.epoch + 1, owner=bindparam("by"))
    .returning(kernel.c.epoch, kernel.c.context_tokens)
)


def fence(tx: Tx, person_id: str, epoch: int) -> None:
    """Lock the lease until the transaction ends. Raises `LeaseLost` unless the epoch is the current owner's."""
    own(tx.execute(_FENCE, {"person": person_id}).one_or_none(), epoch)


def own(row: Row[Any] | None, epoch: int) -> Row[Any]:
    """The row, with the `epoch` of a lease. Raises `LeaseLost` unless it is this epoch."""
    if row is None or row.epoch != epoch:
        raise LeaseLost
    return row


def take(tx: Tx, person_id: str, owner: str) -> Row[Any]:
    """The kernel's `epoch`, which is new, and its `context_tokens`.

    Raises `NotFound` PERSON_NOT_FOUND, and `LeaseLost` if the person was merged into another.
    """
    taken = tx.execute(_TAKE, {"person": person_id, "by": owner}).one_or_none()
    if taken is None:
        stored_epoch(tx, person_id)
        raise LeaseLost
    return taken


def take_away(tx: Tx, person_id: str) -> None:
    """Revoke the lease: the current owner cannot write any longer."""
    tx.execute(_TAKE, {"person": person_id, "by": ""})


def stored_epoch(tx: Tx, person_id: str) -> int:
    """As it is stored. Raises `NotFound` PERSON_NOT_FOUND."""
    found: int | None = tx.execute(_EPOCH, {"person": person_id}).scalar_one_or_none()
    if found is None:
        raise NotFound("PERSON_NOT_FOUND", "no such person", person_id=person_id)
    return found
