"""Accounts, triggers and sessions that the tools' vendor must remove: of deleted people, and replaced sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Integer, bindparam, delete, exists, insert, select

from kernel_service.ports.deletion import Revocation, RevocationKind
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.schema.connections import revocation

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx

_IS_NOTED = select(exists().where(revocation.c.vendor_id == bindparam("vendor")))
_NOTE = insert(revocation)
_DUE = (
    select(revocation)
    .where(revocation.c.vendor_id > bindparam("after"))
    .order_by(revocation.c.vendor_id)
    .limit(bindparam("limit", type_=Integer))
)
_DONE = delete(revocation).where(revocation.c.vendor_id == bindparam("vendor"))


def note(tx: Tx, kind: RevocationKind, vendor_id: str | None) -> int:
    """Whether there is anything new to remove, as 0 or 1."""
    if not vendor_id or tx.execute(_IS_NOTED, {"vendor": vendor_id}).scalar_one():
        return 0
    tx.execute(_NOTE, {"vendor_id": vendor_id, "kind": kind.value})
    return 1


class SqlRevocations(SqlPort):
    """Fills `RevocationStore`."""

    @reads
    def due(self, tx: Tx, *, after: str = "", limit: int) -> list[Revocation]:
        rows = tx.execute(_DUE, {"after": after, "limit": limit})
        return [Revocation(RevocationKind(row.kind), row.vendor_id) for row in rows]

    @writes()
    def done(self, tx: Tx, vendor_id: str) -> None:
        tx.execute(_DONE, {"vendor": vendor_id})
