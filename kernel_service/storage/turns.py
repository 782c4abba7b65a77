"""Turns as they are opened: which messages belong to one, and the open one of a person after a crash."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import bindparam, insert, select, update

from kernel_service.kernels.store import CallRecord, TurnMessage, TurnRecord, TurnStatus
from kernel_service.messages import MessageStatus, Usage
from kernel_service.storage.ids import new_id
from kernel_service.storage.inbox import USAGE, payload_context
from kernel_service.storage.leases import fence
from kernel_service.storage.schema import MESSAGE_OPEN, TURN_OPEN, message, tool_call, turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.storage.engine import Tx

# A burst is answered as one, but not without end.
MAX_MEMBERS = 50
DEBOUNCE_LIMIT = 5

_OPEN = select(turn.c.id, turn.c.status, turn.c.not_before, turn.c.begun, turn.c.attempts, turn.c.holds, *USAGE).where(
    turn.c.person_id == bindparam("person"), TURN_OPEN
)
_AGAIN = (
    update(turn)
    .where(turn.c.id == bindparam("of"))
    .values(status=TurnStatus.RUNNING.value, not_before=None, attempts=turn.c.attempts + 1)
)
_UNHOLD = update(message).where(message.c.turn_id == bindparam("of")).values(status=MessageStatus.ACCEPTED.value)
_MEMBERS = select(message).where(message.c.turn_id == bindparam("turn")).order_by(message.c.seq)
_INTENTS = (
    select(tool_call.c.call_id, tool_call.c.tool, tool_call.c.started_at)
    .where(tool_call.c.person_id == bindparam("person"), tool_call.c.turn_id == bindparam("turn"))
    .order_by(tool_call.c.started_at, tool_call.c.call_id)
)
_WAITING = (
    select(message)
    .where(message.c.person_id == bindparam("person"), MESSAGE_OPEN, message.c.turn_id.is_(None))
    .order_by(message.c.seq)
    .limit(MAX_MEMBERS)
)
_BEGIN = insert(turn)
_JOIN = (
    update(message).where(message.c.seq.in_(bindparam("members", expanding=True))).values(turn_id=bindparam("joined"))
)


def next_turn(tx: Tx, person_id: str, epoch: int, *, now: float, debounce: float) -> TurnRecord | float | None:
    fence(tx, person_id, epoch)
    row = tx.execute(_OPEN, {"person": person_id}).one_or_none()
    if row is None:
        return _begin(tx, person_id, now, debounce)
    if row.not_before is not None and row.not_before > now:
        return float(row.not_before)
    return _go_on(tx, person_id, row)


def _go_on(tx: Tx, person_id: str, row: Row[Any]) -> TurnRecord:
    tx.execute(_AGAIN, {"of": row.id})
    if row.status == TurnStatus.HELD:
        tx.execute(_UNHOLD, {"of": row.id})
    members = tx.execute(_MEMBERS, {"turn": row.id}).all()
    intents = tx.execute(_INTENTS, {"person": person_id, "turn": row.id})
    return TurnRecord(
        id=row.id,
        person_id=person_id,
        messages=_opened(tx, person_id, members),
        begun=row.begun,
        attempts=row.attempts + 1,
        holds=row.holds,
        usage=Usage(*row[-len(USAGE) :]),
        intents=[CallRecord(row.call_id, row.tool, row.started_at) for row in intents],
    )


def _begin(tx: Tx, person_id: str, now: float, debounce: float) -> TurnRecord | float | None:
    waiting = tx.execute(_WAITING, {"person": person_id}).all()
    if not waiting:
        return None
    members = list(takewhile(lambda row: _way(row) == _way(waiting[0]), waiting))
    ready = min(members[-1].accepted_at + debounce, members[0].accepted_at + DEBOUNCE_LIMIT * debounce)
    if ready > now:
        return float(ready)
    turn_id = new_id("t", now)
    row = {
        "id": turn_id,
        "person_id": person_id,
        "status": TurnStatus.RUNNING.value,
        "started_at": now,
        "attempts": 1,
    }
    tx.execute(_BEGIN, row)
    tx.execute(_JOIN, {"members": [member.seq for member in members], "joined": turn_id})
    return TurnRecord(turn_id, person_id, _opened(tx, person_id, members), begun=False, attempts=1)


def _way(row: Row[Any]) -> tuple[str, str, str]:
    """By which way it came and its answer goes."""
    return row.channel, row.address, row.reply_mode


def _opened(tx: Tx, person_id: str, rows: Sequence[Row[Any]]) -> list[TurnMessage]:
    cipher, context = tx.cipher_of(person_id), payload_context(person_id)
    return [
        TurnMessage(
            row.seq,
            row.message_id,
            row.channel,
            row.address,
            orjson.loads(cipher.open(row.payload, context)),
            row.accepted_at,
        )
        for row in rows
    ]
