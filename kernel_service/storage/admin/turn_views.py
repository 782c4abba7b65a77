"""What operators ask of the journal: a person's turns, and what waits."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import Integer, bindparam, select

from kernel_service.ports.admin import TurnSummary
from kernel_service.ports.messages import Usage
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.inbox.inbox import USAGE
from kernel_service.storage.inbox.sent_order import SENT_ORDER
from kernel_service.storage.schema.schema import MESSAGE_OPEN, message, turn

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx

_NEWEST = (
    select(
        turn.c.id,
        turn.c.status,
        turn.c.started_at,
        turn.c.ended_at,
        turn.c.not_before,
        (turn.c.attempts + turn.c.crash_count).label("attempts"),
        turn.c.problem,
        *USAGE,
    )
    .where(turn.c.person_id == bindparam("person"), turn.c.id < bindparam("before"))
    .order_by(turn.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
)
_MEMBERS = (
    select(message.c.turn_id, message.c.seq)
    .where(message.c.turn_id.in_(bindparam("turns", expanding=True)))
    .order_by(*SENT_ORDER)
)
_WAITING = (
    select(message.c.seq, message.c.accepted_at)
    .where(message.c.person_id == bindparam("person"), MESSAGE_OPEN, message.c.turn_id.is_(None))
    .order_by(*SENT_ORDER)
)
# Sorts after every turn's id, in any collation.
_PAST_ALL = "u"


def turns(tx: Tx, person_id: str, *, limit: int, before: str) -> tuple[list[TurnSummary], list[tuple[int, float]], str]:
    page = {"person": person_id, "before": before or _PAST_ALL, "limit": limit + 1}
    rows = tx.execute(_NEWEST, page).all()
    shown = rows[:limit]
    members: defaultdict[str, list[int]] = defaultdict(list)
    for row in tx.execute(_MEMBERS, {"turns": [row.id for row in shown]}):
        members[row.turn_id].append(row.seq)
    summaries = [
        TurnSummary(
            id=row.id,
            status=TurnStatus(row.status),
            messages=members[row.id],
            started_at=row.started_at,
            ended_at=row.ended_at,
            not_before=row.not_before,
            attempts=row.attempts,
            usage=Usage(*row[-len(USAGE) :]),
            problem=row.problem,
        )
        for row in shown
    ]
    waiting = [(row.seq, row.accepted_at) for row in tx.execute(_WAITING, {"person": person_id})]
    return summaries, waiting, shown[-1].id if len(rows) > limit else ""
