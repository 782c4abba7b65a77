"""Operators' queries: a person's turns and replies, waiting messages, and dead letters."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, func, or_, select, update

from kernel_service.errors import CallerError, NotFound
from kernel_service.ports.admin import Backlog, DeadLetter, PartView, ReplyView, TurnSummary
from kernel_service.ports.messages import (
    Usage,
)
from kernel_service.ports.states.message import REQUEUED
from kernel_service.ports.states.part import PartState
from kernel_service.ports.states.reply import ReplyState
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.inbox.sent_order import SENT_ORDER
from kernel_service.storage.schema.connections import revocation
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.outbox import REPLY_UNSETTLED, reply, reply_part
from kernel_service.storage.schema.transitions import may_take
from kernel_service.storage.schema.turns import TURN_USAGE, dead_letter, turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row, Select

    from kernel_service.storage.engine.engine import Tx

TURN_COLUMNS: Final = (
    turn.c.id,
    turn.c.status,
    turn.c.started_at,
    turn.c.ended_at,
    turn.c.not_before,
    (turn.c.attempts + turn.c.crash_count).label("attempts"),
    turn.c.problem,
    *TURN_USAGE,
)
_NEWEST_TURNS = (
    select(*TURN_COLUMNS)
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
_REVOCATIONS = select(func.count()).select_from(revocation)
# Sorts after every turn's id, in any collation.
_PAST_ALL_TURNS = "u"
_NEWEST_REPLIES = (
    select(reply)
    .where(reply.c.person_id == bindparam("person"), reply.c.seq < bindparam("before"))
    .order_by(reply.c.seq.desc())
    .limit(bindparam("limit", type_=Integer))
)
_PARTS_OF = select(reply_part).where(reply_part.c.reply_id.in_(bindparam("replies", expanding=True)))
_PAST_ALL_REPLIES = 2**63 - 1
_NEWEST_LETTERS = (
    select(dead_letter)
    .where(dead_letter.c.id < bindparam("before"), dead_letter.c.requeued_at.is_(None))
    .order_by(dead_letter.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
)
_NEWEST_LETTERS_OF = _NEWEST_LETTERS.where(dead_letter.c.person_id == bindparam("person"))
_LETTER = select(dead_letter).where(dead_letter.c.id == bindparam("of")).with_for_update()
_REQUEUED = update(dead_letter).where(dead_letter.c.id == bindparam("of")).values(requeued_at=bindparam("at"))
_WAIT_AGAIN = (
    update(message)
    .where(message.c.seq == bindparam("of"), may_take(message.c.status, REQUEUED))
    .values(status=REQUEUED.target.value, turn_id=None, alone=True)
)
_OPEN_MESSAGES = select(func.count().label("number"), func.min(message.c.accepted_at).label("oldest")).where(
    MESSAGE_OPEN
)
_PENDING_REPLIES = select(func.count().label("number"), func.min(reply.c.created_at).label("oldest")).where(
    REPLY_UNSETTLED,
    reply.c.state == ReplyState.PENDING.value,
    or_(reply.c.not_before.is_(None), reply.c.not_before <= bindparam("now")),
)
# Sorts after every dead letter's id, in any collation.
_PAST_ALL_LETTERS = "e"


class SqlAdmin(SqlPort):
    """Fills `AdminStore`."""

    @reads
    def turns(
        self, tx: Tx, person_id: str, *, limit: int, before: str
    ) -> tuple[list[TurnSummary], list[tuple[int, float]], str]:
        page = {"person": person_id, "before": before or _PAST_ALL_TURNS, "limit": limit + 1}
        rows = tx.execute(_NEWEST_TURNS, page).all()
        shown = rows[:limit]
        waiting = [(row.seq, row.accepted_at) for row in tx.execute(_WAITING, {"person": person_id})]
        return summaries(tx, shown), waiting, shown[-1].id if len(rows) > limit else ""

    @reads
    def backlog(self, tx: Tx, *, now: float) -> Backlog:
        messages = tx.execute(_OPEN_MESSAGES).one()
        replies = tx.execute(_PENDING_REPLIES, {"now": now}).one()
        return Backlog(
            messages.number,
            _age(messages.oldest, now),
            replies.number,
            _age(replies.oldest, now),
            tx.execute(_REVOCATIONS).scalar_one(),
        )

    @reads
    def replies(self, tx: Tx, person_id: str, *, limit: int, before: str) -> tuple[list[ReplyView], str]:
        page = {"person": person_id, "before": _seq_before(before), "limit": limit + 1}
        rows = tx.execute(_NEWEST_REPLIES, page).all()
        shown = rows[:limit]
        return views(tx, shown), str(shown[-1].seq) if len(rows) > limit else ""

    @reads
    def dead_letters(self, tx: Tx, person_id: str | None, *, limit: int, before: str) -> tuple[list[DeadLetter], str]:
        page: dict[str, Any] = {"before": before or _PAST_ALL_LETTERS, "limit": limit + 1}
        found: Select[Any] = _NEWEST_LETTERS
        if person_id is not None:
            found, page["person"] = _NEWEST_LETTERS_OF, person_id
        rows = tx.execute(found, page).all()
        shown = [DeadLetter(row.id, row.person_id, row.message_seq, row.problem, row.dead_at) for row in rows[:limit]]
        return shown, shown[-1].id if len(rows) > limit else ""

    @writes()
    def requeue(self, tx: Tx, dead_letter_id: str, *, now: float) -> str:
        row = tx.execute(_LETTER, {"of": dead_letter_id}).one_or_none()
        if row is None:
            raise NotFound("DEAD_LETTER_NOT_FOUND", "there is no such dead letter, or its retention has ended")
        if row.requeued_at is None:
            tx.execute(_WAIT_AGAIN, {"of": row.message_seq})
            tx.execute(_REQUEUED, {"of": row.id, "at": now})
        return str(row.person_id)


def _seq_before(token: str) -> int:
    seq = int(token or _PAST_ALL_REPLIES) if token.isascii() and (token.isdecimal() or not token) else -1
    if not 0 <= seq <= _PAST_ALL_REPLIES:
        raise CallerError("FIELD_INVALID", "page_token was not issued by this service", field="page_token")
    return seq


def summaries(tx: Tx, rows: Sequence[Row[Any]]) -> list[TurnSummary]:
    """Of rows with `TURN_COLUMNS`."""
    members: defaultdict[str, list[int]] = defaultdict(list)
    for row in tx.execute(_MEMBERS, {"turns": [row.id for row in rows]}):
        members[row.turn_id].append(row.seq)
    return [_summary(row, members[row.id]) for row in rows]


def _summary(row: Row[Any], messages: list[int]) -> TurnSummary:
    return TurnSummary(
        id=row.id,
        status=TurnStatus(row.status),
        messages=messages,
        started_at=row.started_at,
        ended_at=row.ended_at,
        not_before=row.not_before,
        attempts=row.attempts,
        usage=Usage(*row[-len(TURN_USAGE) :]),
        problem=row.problem,
    )


def views(tx: Tx, rows: Sequence[Row[Any]]) -> list[ReplyView]:
    """Of rows of `reply`."""
    parts = {(part.reply_id, part.part): part for part in tx.execute(_PARTS_OF, {"replies": [row.id for row in rows]})}
    return [_view(row, parts) for row in rows]


def _view(row: Row[Any], parts: dict[tuple[str, int], Row[Any]]) -> ReplyView:
    return ReplyView(
        row.id,
        row.turn_id,
        row.answers_seq,
        row.channel,
        ReplyState(row.state),
        [_part_view(number, parts.get((row.id, number))) for number in range(1, row.parts + 1)],
        row.created_at,
        row.settled_at,
        row.attempts,
        row.error_code,
    )


def _part_view(number: int, part: Row[Any] | None) -> PartView:
    if part is None:
        return PartView(number, sent=False, receipt=PartState.UNREPORTED, error_code="")
    return PartView(number, part.sent_at is not None, PartState(part.receipt), part.error_code)


def _age(since: float | None, now: float) -> float:
    return 0.0 if since is None else max(0.0, now - since)
