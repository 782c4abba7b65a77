"""The open turns of two people who are merged: one turn continues, and every message gets an answer.

A turn that may still restart returns its messages to the queue. Its journal is superseded, and the button that opened
it is decided again. A turn that changed something is kept. Two such turns continue as one, and their messages are
answered together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, null, or_, select, update

from kernel_service.ports.messages import MessageStatus
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.schema.approvals import approval
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.turns import TURN_OPEN, TURN_USAGE, item, tool_call, turn

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, Row

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.keys.resealing import Merging

MERGED: Final = "merged"
"""The `problem` of a turn that ended because its messages moved to another turn."""

_people: BindParameter[list[str]] = bindparam("people", expanding=True)
_begun_call = select(tool_call.c.call_id).where(tool_call.c.turn_id == turn.c.id).exists()
_OPEN = select(turn, or_(turn.c.tool_calls > 0, _begun_call).label("called")).where(
    turn.c.person_id.in_(_people), TURN_OPEN
)
_of = turn.c.id == bindparam("of")
# The merge ended the attempt; no process crashed in it.
_PUT_DOWN = update(turn).where(_of).values(attempt_owner="")
_END = (
    update(turn)
    .where(_of, TURN_OPEN)
    .values(status=TurnStatus.FAILED.value, ended_at=bindparam("at"), not_before=None, attempt_owner="", problem=MERGED)
)
_GIVE_BACK = (
    update(message)
    .where(message.c.turn_id == bindparam("of"), MESSAGE_OPEN)
    .values(turn_id=None, status=MessageStatus.ACCEPTED.value)
)
# Filtered by person first: these tables have no index on the turn.
_ITEMS = update(item).where(item.c.person_id.in_(_people), item.c.turn_id == bindparam("of"))
_SUPERSEDE = _ITEMS.values(superseded=True)
_decided = update(approval).where(approval.c.person_id.in_(_people), approval.c.decided_in == bindparam("of"))
_UNDECIDE = _decided.values(decided_in=null(), approved=null())
_JOIN = [
    update(message).where(message.c.turn_id == bindparam("of")).values(turn_id=bindparam("joined")),
    update(tool_call).where(tool_call.c.turn_id == bindparam("of")).values(turn_id=bindparam("joined")),
]
_JOIN_OF_PEOPLE = [_ITEMS.values(turn_id=bindparam("joined")), _decided.values(decided_in=bindparam("joined"))]
_ADD = (
    update(turn)
    .where(_of)
    .values(
        begun=bindparam("has_begun"),
        closed=bindparam("is_closed"),
        stopped=bindparam("was_stopped"),
        joins=turn.c.joins + bindparam("more_joins"),
        **{column.name: column + bindparam(f"more_{column.name}") for column in TURN_USAGE},
    )
)
_GO_ON = update(turn).where(_of, TURN_OPEN).values(status=TurnStatus.RUNNING.value, not_before=None)
_UNHOLD = (
    update(message)
    .where(message.c.turn_id == bindparam("of"), MESSAGE_OPEN)
    .values(status=MessageStatus.ACCEPTED.value)
)


def leave_one_open(tx: Tx, people: Merging, now: float) -> str:
    """The id of the turn that continues; empty: none is open. Its row still has its old person."""
    rows = tx.execute(_OPEN, {"people": [people.merged, people.remaining]}).all()
    for row in rows:
        tx.execute(_PUT_DOWN, {"of": row.id})
    if not rows:
        return ""
    goes_on, *others = sorted(rows, key=lambda row: (_may_restart(row), row.person_id != people.remaining))
    for other in others:
        _end(tx, people, other, goes_on, now)
    return str(goes_on.id)


def _may_restart(row: Row[Any]) -> bool:
    """The turn changed nothing, and its messages were not withdrawn. A turn in isolation is always closed."""
    return not row.stopped and not (row.closed and row.called)


def _end(tx: Tx, people: Merging, other: Row[Any], goes_on: Row[Any], now: float) -> None:
    if _may_restart(other):
        of_people = {"of": other.id, "people": [people.merged, people.remaining]}
        tx.execute(_GIVE_BACK, {"of": other.id})
        tx.execute(_SUPERSEDE, of_people)
        tx.execute(_UNDECIDE, of_people)
    else:
        _join(tx, people, other, goes_on)
    tx.execute(_END, {"of": other.id, "at": now})
    # The reason for one turn's delay need not apply to the other.
    tx.execute(_GO_ON, {"of": goes_on.id})
    tx.execute(_UNHOLD, {"of": goes_on.id})


def _join(tx: Tx, people: Merging, other: Row[Any], goes_on: Row[Any]) -> None:
    joined = {"of": other.id, "joined": goes_on.id}
    for statement in _JOIN:
        tx.execute(statement, joined)
    for statement in _JOIN_OF_PEOPLE:
        tx.execute(statement, joined | {"people": [people.merged, people.remaining]})
    together = {
        "of": goes_on.id,
        "has_begun": goes_on.begun or other.begun,
        "is_closed": goes_on.closed or other.closed,
        "was_stopped": goes_on.stopped or other.stopped,
        "more_joins": other.joins,
    }
    tx.execute(_ADD, together | {f"more_{column.name}": getattr(other, column.name) for column in TURN_USAGE})
