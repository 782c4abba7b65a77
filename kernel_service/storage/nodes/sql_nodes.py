"""The kernel services that share this database. All times here are the database's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, delete, exists, insert, not_, or_, select, true, update

from kernel_service.ports.nodes import GAP_SECONDS, LAPSE_SECONDS, Beat, Node
from kernel_service.storable import from_json, to_json
from kernel_service.storage.engine.units import SqlPort, writes, writes_alone
from kernel_service.storage.nodes import schema_guard
from kernel_service.storage.schema.service import node
from kernel_service.storage.schema.times import DatabaseTime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import BindParameter, Row

    from kernel_service.storage.engine.engine import Tx

_now = DatabaseTime()
_me: BindParameter[str] = bindparam("me")
_ADD = insert(node).values(started_at=_now, since=_now, beat_at=_now)
_NOW = select(_now.label("now"))
_REMOVE_OTHERS = delete(node).where(node.c.id != _me).returning(node.c.id)
_judge = node.alias("judge")
# Its last beat is in the future if the database's clock was set back since: then the others had no time to beat again.
_IS_REGULAR = exists().where(
    _judge.c.id == _me,
    _judge.c.since < _now - LAPSE_SECONDS,
    _judge.c.beat_at.between(_now - GAP_SECONDS, _now),
)
# A beat far in the future precedes a step back of the database's clock: it was not repeated since.
_IS_SILENT = or_(node.c.beat_at < _now - LAPSE_SECONDS, node.c.beat_at > _now + LAPSE_SECONDS)
# In a fixed order, so that two nodes that remove the same ones do not wait for each other.
_DEAD = (
    select(node.c.id)
    .where(_IS_SILENT, node.c.id != _me, _IS_REGULAR)
    .order_by(node.c.id)
    .with_for_update(of=node, skip_locked=True)
)
_REMOVE = delete(node).where(node.c.id.in_(_DEAD)).returning(node.c.id)
_BEAT = (
    update(node)
    .where(node.c.id == _me)
    .values(
        since=case((not_(node.c.beat_at.between(_now - GAP_SECONDS, _now)), _now), else_=node.c.since),
        beat_at=_now,
        channels=bindparam("attached"),
    )
)
# By the id where two started at the same time.
_ALL = select(node).order_by(node.c.started_at, node.c.id)
_ANNOUNCE = update(node).where(node.c.id == _me).values(address=bindparam("reached_at"))
_DRAIN = update(node).where(node.c.id == _me).values(draining=true())
_LEAVE = delete(node).where(node.c.id == _me)


class SqlNodes(SqlPort):
    """Fills `NodeStore`."""

    @writes()
    def join(self, tx: Tx, joining: Node, *, alone: bool) -> Beat:
        schema_guard.check_joining(tx, joining.schema)
        removed = list(tx.execute(_REMOVE_OTHERS, {"me": joining.id}).scalars()) if alone else []
        tx.execute(_ADD, {"id": joining.id, "address": joining.address, "schema": joining.schema, "channels": "[]"})
        return _beat(tx, removed)

    @writes_alone  # other units may wait for locks for longer than a node without a heartbeat lives
    def beat(self, tx: Tx, node_id: str, channels: Sequence[str]) -> Beat | None:
        removed = list(tx.execute(_REMOVE, {"me": node_id}).scalars())
        attached = to_json(sorted(set(channels))).decode()
        if not tx.execute(_BEAT, {"me": node_id, "attached": attached}).rowcount:
            return None
        return _beat(tx, removed)

    @writes()
    def announce(self, tx: Tx, node_id: str, address: str) -> None:
        tx.execute(_ANNOUNCE, {"me": node_id, "reached_at": address})

    @writes()
    def drain(self, tx: Tx, node_id: str) -> None:
        tx.execute(_DRAIN, {"me": node_id})

    @writes()
    def leave(self, tx: Tx, node_id: str) -> None:
        tx.execute(_LEAVE, {"me": node_id})


def _beat(tx: Tx, removed: Sequence[str]) -> Beat:
    now = float(tx.execute(_NOW).scalar_one())
    return Beat(now, tuple(_node(row, now) for row in tx.execute(_ALL).all()), tuple(removed))


def _node(row: Row[Any], now: float) -> Node:
    return Node(
        row.id,
        row.address,
        row.schema,
        row.started_at,
        max(0.0, now - row.beat_at),
        bool(row.draining),
        tuple(from_json(row.channels.encode())),
    )
