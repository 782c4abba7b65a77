"""Ownership of kernels: the lease row of each person, its epoch, and the fence before every write of an owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, exists, not_, or_, select, update

from kernel_service.errors import LeaseLost, NotFound, OwnedElsewhere
from kernel_service.ports.kernels import KernelLease
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.people import person
from kernel_service.storage.schema.service import node
from kernel_service.storage.schema.turns import TURN_OPEN, turn

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx

_EPOCH = select(kernel.c.epoch).where(kernel.c.person_id == bindparam("person"))
_FENCE = _EPOCH.with_for_update(read=True)
_MERGED = exists().where(person.c.id == kernel.c.person_id, person.c.merged_into.is_not(None))
_ATTEMPT_GOES_ON = (
    exists()
    .where(turn.c.person_id == kernel.c.person_id, TURN_OPEN, turn.c.attempt_owner == kernel.c.owner)
    .correlate(kernel)
)
HELD = exists().where(node.c.id == kernel.c.owner, or_(not_(node.c.draining), _ATTEMPT_GOES_ON))
"""A live node owns the kernel. A draining node owns it only for the attempt that it has begun."""

_RAISED = update(kernel).where(kernel.c.person_id == bindparam("person")).values(epoch=kernel.c.epoch + 1)
_before = kernel.alias("before")
# A subquery sees the row as it was before the statement: https://www.postgresql.org/docs/current/transaction-iso.html
_OWNER_BEFORE = select(_before.c.owner).where(_before.c.person_id == kernel.c.person_id).scalar_subquery()
_TAKE = (
    _RAISED.where(not_(_MERGED), or_(kernel.c.owner.in_(("", bindparam("by"))), not_(HELD)))
    .values(owner=bindparam("by"))
    .returning(kernel.c.epoch, kernel.c.context_tokens, _OWNER_BEFORE.label("owner_before"))
)
_TAKE_AWAY = _RAISED.where(not_(_MERGED)).values(owner="")
_AT_WORK = exists().where(turn.c.person_id == kernel.c.person_id, TURN_OPEN, turn.c.attempt_owner != "")
_OUTDATE = _RAISED.where(not_(_AT_WORK))
_LEASE = select(kernel.c.owner, kernel.c.epoch, _MERGED.label("merged")).where(
    kernel.c.person_id == bindparam("person")
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
    """The kernel's `epoch`, which is new, and its `context_tokens`. The previous owner is this one, none, or dead.

    `owner_before` is for operators alone: on SQLite, with its one process, it may be the new one.

    Raises `NotFound` PERSON_NOT_FOUND, `OwnedElsewhere`, and `LeaseLost` if the person was merged into another.
    """
    taken = tx.execute(_TAKE, {"person": person_id, "by": owner}).one_or_none()
    if taken is None:
        raise _not_taken(tx, person_id)
    return taken


def _not_taken(tx: Tx, person_id: str) -> Exception:
    row = tx.execute(_LEASE, {"person": person_id}).one_or_none()
    if row is None:
        return _no_person(person_id)
    return LeaseLost() if row.merged else OwnedElsewhere(row.owner)


def take_away(tx: Tx, person_id: str) -> None:
    """Revoke the lease: every later write of the current owner is refused."""
    tx.execute(_TAKE_AWAY, {"person": person_id})


def outdate(tx: Tx, person_id: str) -> bool:
    """Make the owner load the person again before their next turn.

    False: an attempt is running, and keeps its lease.
    """
    return tx.execute(_OUTDATE, {"person": person_id}).rowcount > 0


def stored(tx: Tx, person_id: str) -> KernelLease:
    """The lease as it is stored. Raises `NotFound` PERSON_NOT_FOUND."""
    row = tx.execute(_LEASE, {"person": person_id}).one_or_none()
    if row is None:
        raise _no_person(person_id)
    return KernelLease(row.owner, row.epoch)


def _no_person(person_id: str) -> NotFound:
    return NotFound("PERSON_NOT_FOUND", "no such person", person_id=person_id)
