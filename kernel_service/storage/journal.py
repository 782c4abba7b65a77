"""The journal: a person's history as items, appended step by step; how a turn is put off and how it ends."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import bindparam, case, delete, func, insert, select, text, true, update

from kernel_service.errors import LeaseLost
from kernel_service.kernels.store import Activation, HistoryItem, TurnStatus
from kernel_service.messages import MessageStatus, ReplyMode, Usage
from kernel_service.storage import leases
from kernel_service.storage.outbox import add_reply
from kernel_service.storage.schema import TURN_OPEN, item, message, tool_call, turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.kernels.store import CallRecord, TurnRecord
    from kernel_service.messages import Reply, StoredReply
    from kernel_service.storage.engine import Tx

ITEM_VERSION = 1
DAY_SECONDS = 86_400
_LAST_STATUS = {
    TurnStatus.COMPLETED: MessageStatus.COMPLETED,
    TurnStatus.FAILED: MessageStatus.DEAD_LETTERED,
    TurnStatus.STOPPED: MessageStatus.STOPPED,
}

_HISTORY = (
    select(item.c.kind, item.c.origin, item.c.data).where(item.c.person_id == bindparam("person")).order_by(item.c.seq)
)
_LAST_ITEM = select(func.coalesce(func.max(item.c.seq), 0)).where(item.c.person_id == bindparam("person"))
_APPEND = insert(item)
_START = insert(tool_call)
_FINISH = delete(tool_call).where(
    tool_call.c.person_id == bindparam("person"), tool_call.c.call_id == bindparam("call")
)
_FINISH_ALL = delete(tool_call).where(
    tool_call.c.person_id == bindparam("person"), tool_call.c.turn_id == bindparam("turn")
)
_SPENT = {name: turn.c[name] + bindparam(name) for name in asdict(Usage())}
_OPEN_TURN = update(turn).where(turn.c.id == bindparam("of"), TURN_OPEN)
_PROGRESS = _OPEN_TURN.values(begun=true(), attempts=0, **_SPENT)
_HOLD = _OPEN_TURN.values(
    status=TurnStatus.HELD.value,
    not_before=bindparam("until"),
    problem=bindparam("because"),
    holds=turn.c.holds + 1,
    attempts=case((turn.c.attempts > 0, turn.c.attempts - 1), else_=0),
)
_END = _OPEN_TURN.values(
    status=bindparam("to"), ended_at=bindparam("at"), problem=bindparam("because"), begun=true(), **_SPENT
)
_MEMBERS = update(message).where(message.c.turn_id == bindparam("of")).values(status=bindparam("to"))
_LAST_MEMBER = (
    update(message)
    .where(message.c.seq == bindparam("last"))
    .values(status=bindparam("to"))
    .returning(message.c.reply_mode)
)
_columns = ", ".join(asdict(Usage()))
_DAY = text(
    f"INSERT INTO usage (person_id, day, {_columns})"  # noqa: S608 - names of our own columns
    f" VALUES (:person, :day, {', '.join(f':{name}' for name in asdict(Usage()))})"
    " ON CONFLICT (person_id, day) DO UPDATE SET "
    + ", ".join(f"{name} = usage.{name} + excluded.{name}" for name in asdict(Usage()))
)


def activate(tx: Tx, person_id: str, *, owner: str) -> Activation:
    epoch = leases.take(tx, person_id, owner)
    cipher, context = tx.cipher_of(person_id), _context(person_id)
    history = [
        HistoryItem(row.kind, orjson.loads(cipher.open(row.data, context)), row.origin)
        for row in tx.execute(_HISTORY, {"person": person_id})
    ]
    return Activation(person_id, epoch, history)


def append(
    tx: Tx,
    record: TurnRecord,
    epoch: int,
    items: Sequence[HistoryItem],
    *,
    usage: Usage,
    finished: str,
    started: CallRecord | None,
    now: float,
) -> None:
    leases.fence(tx, record.person_id, epoch)
    _add_items(tx, record, items, now)
    if finished:
        tx.execute(_FINISH, {"person": record.person_id, "call": finished})
    if started is not None:
        tx.execute(_START, {"person_id": record.person_id, "turn_id": record.id, **asdict(started)})
    _of_open_turn(tx, _PROGRESS, {"of": record.id, **asdict(usage)})
    _add_to_day(tx, record.person_id, usage, now)


def hold(
    tx: Tx, record: TurnRecord, epoch: int, *, until: float, problem: str, notice: Reply | None, now: float
) -> None:
    leases.fence(tx, record.person_id, epoch)
    _of_open_turn(tx, _HOLD, {"of": record.id, "until": until, "because": problem})
    tx.execute(_MEMBERS, {"of": record.id, "to": MessageStatus.HELD.value})
    if notice is not None:
        _tell(tx, record, [notice], ReplyMode.OUTBOX, now)


def end(
    tx: Tx,
    record: TurnRecord,
    epoch: int,
    items: Sequence[HistoryItem],
    replies: Sequence[Reply],
    *,
    status: TurnStatus,
    problem: str,
    usage: Usage,
    now: float,
) -> list[StoredReply]:
    leases.fence(tx, record.person_id, epoch)
    _add_items(tx, record, items, now)
    ended = {"of": record.id, "to": status.value, "at": now, "because": problem, **asdict(usage)}
    _of_open_turn(tx, _END, ended)
    _add_to_day(tx, record.person_id, usage, now)
    tx.execute(_FINISH_ALL, {"person": record.person_id, "turn": record.id})
    if len(record.messages) > 1:
        tx.execute(_MEMBERS, {"of": record.id, "to": MessageStatus.MERGED.value})
    last = {"last": record.messages[-1].seq, "to": _LAST_STATUS[status].value}
    mode = ReplyMode(tx.execute(_LAST_MEMBER, last).scalar_one())
    return _tell(tx, record, replies, mode, now)


def _of_open_turn(tx: Tx, statement: Any, values: dict[str, Any]) -> None:
    """A turn that has ended is not touched again: who still works on it has lost it."""
    if not tx.execute(statement, values).rowcount:
        raise LeaseLost


def _add_items(tx: Tx, record: TurnRecord, items: Sequence[HistoryItem], now: float) -> None:
    if not items:
        return
    last = tx.execute(_LAST_ITEM, {"person": record.person_id}).scalar_one()
    cipher, context = tx.cipher_of(record.person_id), _context(record.person_id)
    rows = [
        {
            "person_id": record.person_id,
            "seq": seq,
            "turn_id": record.id,
            "kind": one.kind,
            "origin": one.origin,
            "version": ITEM_VERSION,
            "data": cipher.seal(orjson.dumps(one.data), context),
            "created_at": now,
        }
        for seq, one in enumerate(items, start=last + 1)
    ]
    tx.execute(_APPEND, rows)


def _add_to_day(tx: Tx, person_id: str, usage: Usage, now: float) -> None:
    if usage != Usage():
        tx.execute(_DAY, {"person": person_id, "day": int(now // DAY_SECONDS), **asdict(usage)})


def _tell(tx: Tx, record: TurnRecord, replies: Sequence[Reply], mode: ReplyMode, now: float) -> list[StoredReply]:
    last = record.messages[-1]
    return [
        add_reply(
            tx,
            record.person_id,
            reply,
            turn_id=record.id,
            answers_message_id=last.message_id,
            channel=last.channel,
            address=last.address,
            mode=mode,
            now=now,
        )
        for reply in replies
    ]


def _context(person_id: str) -> bytes:
    return b"item:" + person_id.encode()
