"""The messages that wait for a turn: which belong together, and which interrupt a running turn."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, and_, bindparam, select

from kernel_service.errors import LeaseLost
from kernel_service.ports.commands import Command
from kernel_service.ports.interruptions import JoiningMessages, Stopped
from kernel_service.ports.turns import LATE_MESSAGE_SECONDS
from kernel_service.storage.inbox.sent_order import BELIEVED_SECONDS, SENT_ORDER
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.turns import turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.ports.turns import Turn
    from kernel_service.storage.engine.engine import Tx

# A burst is answered as one, but its size is bounded.
MAX_MEMBERS = 50
DEBOUNCE_LIMIT = 5
# Messages that were delayed in transit together get more time.
LATE_DEBOUNCE = 4
MAX_JOINS = 3

Route = tuple[str, str, str]
"""The route of a message and its answer: channel, address, reply mode."""

_WAITING = (
    select(message)
    .where(message.c.person_id == bindparam("person"), MESSAGE_OPEN, message.c.turn_id.is_(None))
    .order_by(*SENT_ORDER)
    .limit(bindparam("limit", type_=Integer))
)
_ATTEMPT = (
    select(
        turn.c.attempt_owner,
        turn.c.stopped,
        message.c.seq.label("waiting"),
        message.c.channel,
        message.c.address,
        message.c.reply_mode,
        message.c.alone,
        message.c.waits_until,
    )
    .select_from(
        turn.outerjoin(
            message, and_(message.c.person_id == turn.c.person_id, MESSAGE_OPEN, message.c.turn_id.is_(None))
        )
    )
    .where(turn.c.id == bindparam("of"), turn.c.person_id == bindparam("person"))
    .order_by(*SENT_ORDER)
    .limit(1)
)


def waiting(tx: Tx, person_id: str) -> Sequence[Row[Any]]:
    """In the order in which they were sent."""
    return tx.execute(_WAITING, {"person": person_id, "limit": MAX_MEMBERS}).all()


def together(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """The longest prefix that one answer may cover."""
    if not rows or rows[0].alone:
        return list(rows[:1])
    return joinable(rows, route(rows[0]))


def joinable(rows: Sequence[Row[Any]], by: Route) -> list[Row[Any]]:
    """The longest prefix that came by that route and may be answered together."""
    return list(takewhile(lambda row: route(row) == by and not row.alone, rows))


def gathered_at(rows: Sequence[Row[Any]], debounce: float) -> float:
    """When a burst is complete, including its files.

    A message that must be answered alone is complete at once, except for a late "new chat". It separates the messages
    sent before it from those sent after it, and some of them may still be in transit.
    """
    files, first, last = 0.0, rows[0].accepted_at, 0.0
    for row in rows:
        files = max(files, row.waits_until or 0.0)
        first = min(first, row.accepted_at)
        last = max(last, row.accepted_at + (debounce * LATE_DEBOUNCE if _is_late(row) else debounce))
    if rows[0].alone and not (rows[0].command == Command.NEW_CHAT and _is_late(rows[0])):
        return files
    return float(max(min(last, first + DEBOUNCE_LIMIT * debounce), files))


def _is_late(row: Row[Any]) -> bool:
    # An untrusted time of the channel is no evidence.
    return bool(LATE_MESSAGE_SECONDS < row.accepted_at - row.sent_at < BELIEVED_SECONDS)


def complete(rows: Sequence[Row[Any]], now: float) -> list[Row[Any]]:
    """The longest prefix without a message that waits for its file."""
    return list(takewhile(lambda row: row.waits_until is None or row.waits_until <= now, rows))


def route(row: Row[Any]) -> Route:
    return row.channel, row.address, row.reply_mode


def route_of(turn: Turn) -> Route:
    last = turn.messages[-1]
    return last.channel, last.address, last.reply_mode.value


def check(tx: Tx, turn: Turn) -> None:
    """Raises `JoiningMessages` or `Stopped` if a message interrupts the turn, `LeaseLost` if its attempt has ended."""
    row = tx.execute(_ATTEMPT, {"person": turn.person_id, "of": turn.id}).one_or_none()
    if row is None or not row.attempt_owner:
        raise LeaseLost
    if row.stopped:
        raise Stopped
    interrupt(turn, row)


def interrupt(turn: Turn, first: Row[Any]) -> None:
    """Raises `JoiningMessages` if the first message, the one that is `waiting`, joins the turn."""
    # A message that waits for its file does not delay the running turn. It joins once it has the file, or comes next.
    waits = first.waiting is not None and first.waits_until is None
    if waits and may_be_joined(turn) and not first.alone and route(first) == route_of(turn):
        raise JoiningMessages


def may_be_joined(turn: Turn) -> bool:
    return has_room(turn) and turn.joins < MAX_JOINS


def has_room(turn: Turn) -> bool:
    return not turn.closed and len(turn.messages) < MAX_MEMBERS
