"""Which rows of `reply` a statement for many rows changes, so that no two transactions wait for each other in a circle.

PostgreSQL locks the rows of an UPDATE in the order in which it finds them. Transactions that lock several replies do so
in the order of their ids, or wait for none. SQLite has one writer, and needs no locks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from kernel_service.storage.schema.outbox import reply

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select, TextClause


def in_order(*conditions: ColumnElement[bool] | TextClause) -> ColumnElement[bool]:
    """The rows that meet the conditions, locked in the order of their ids."""
    return reply.c.seq.in_(_seqs(*conditions).order_by(reply.c.id).with_for_update())


def unlocked(*conditions: ColumnElement[bool] | TextClause) -> ColumnElement[bool]:
    """The rows that meet the conditions, without those that another transaction changes now."""
    return reply.c.seq.in_(_seqs(*conditions).with_for_update(skip_locked=True))


def _seqs(*conditions: ColumnElement[bool] | TextClause) -> Select[Any]:
    return select(reply.c.seq).where(*conditions).correlate(None)
