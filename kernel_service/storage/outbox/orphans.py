"""Leases of dead nodes: their streams ended with them, so they are shortened as if the streams had ended.

A node's row exists before its first lease, and its id is never reused. So a node that is missing after its lease
was seen stays missing: this may run at several nodes at once, and repeatedly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Float, bindparam, func, select, update

from kernel_service.ports.lease_tokens import MARK_LENGTH, NODE_MARK_START, mark_of
from kernel_service.ports.media import MediaState
from kernel_service.storage.outbox.row_locks import unlocked
from kernel_service.storage.schema.media import media
from kernel_service.storage.schema.outbox import REPLY_ON_ITS_WAY, reply
from kernel_service.storage.schema.service import node

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from kernel_service.storage.engine.engine import Tx


def node_mark(token: ColumnElement[str]) -> ColumnElement[str]:
    return func.substr(token, NODE_MARK_START + 1, MARK_LENGTH)


_until = bindparam("until", type_=Float)
_MARKS = select(node_mark(reply.c.token)).where(REPLY_ON_ITS_WAY, reply.c.leased_until > _until).distinct()
_NODES = select(node.c.id)
# A reply that is being reported on is left to the next time.
_EXPIRE = (
    update(reply)
    .where(
        unlocked(
            REPLY_ON_ITS_WAY,
            reply.c.leased_until > _until,
            node_mark(reply.c.token).in_(bindparam("marks", expanding=True)),
        )
    )
    .values(leased_until=_until)
)

_FILE_MARKS = (
    select(node_mark(media.c.token))
    .where(media.c.state == MediaState.WANTED.value, media.c.leased_until > bindparam("now", type_=Float))
    .distinct()
)
_RELEASE_FILES = (
    update(media)
    .where(
        media.c.state == MediaState.WANTED.value,
        node_mark(media.c.token).in_(bindparam("marks", expanding=True)),
        media.c.leased_until.is_not(None),
    )
    .values(leased_until=None)
    .returning(media.c.channel)
)


def expire(tx: Tx, *, until: float, now: float) -> list[str]:
    """As `OutboxStore.expire_orphans`. Fetching a file twice is harmless, so its lease ends at once."""
    replies = {*tx.execute(_MARKS, {"until": until}).scalars()}
    files = {*tx.execute(_FILE_MARKS, {"now": now}).scalars()}
    marks = _of_dead_nodes(tx, replies | files)
    if replies.intersection(marks):
        tx.execute(_EXPIRE, {"until": until, "marks": marks})
    return sorted({*tx.execute(_RELEASE_FILES, {"marks": marks}).scalars()}) if files.intersection(marks) else []


def _of_dead_nodes(tx: Tx, marks: set[str]) -> list[str]:
    """Those of the marks of leases that no node has."""
    if not marks:
        return []
    return sorted(marks - {mark_of(node_id) for node_id in tx.execute(_NODES).scalars()})
