"""How an attempt ends (put off, put back, failed), and how a turn does: answered, stopped, split or given up.

Each is one transaction, fenced: items, usage, replies, and what becomes of the messages.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from sqlalchemy import Boolean, Integer, bindparam, delete, false, insert, or_, true, update

from kernel_service.ports.messages import MessageStatus, ReplyMode, Usage
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.approvals import approvals
from kernel_service.storage.connections import parked_requests
from kernel_service.storage.outbox.replies import add_reply
from kernel_service.storage.people import leases
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.schema import dead_letter, message, tool_call, turn
from kernel_service.storage.turns import context, waiting
from kernel_service.storage.turns.journal import OPEN_TURN, SPENT, add_items, of_open_turn
from kernel_service.storage.turns.turns import supersede
from kernel_service.storage.usage.paying import pay
from kernel_service.storage.usage.spending import add_to_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.approvals import Question
    from kernel_service.ports.messages import Reply, StoredReply
    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.ports.turns import HistoryItem, Turn
    from kernel_service.storage.engine.engine import Tx

_HOLD = OPEN_TURN.values(
    status=TurnStatus.HELD.value,
    not_before=bindparam("until"),
    problem=bindparam("because"),
    holds=turn.c.holds + bindparam("more", type_=Integer),
    told_busy=or_(turn.c.told_busy, bindparam("told", type_=Boolean)),
    attempt_owner="",
)
_PUT_BACK = OPEN_TURN.values(not_before=bindparam("until"), attempt_owner="")
_OTHERS_COME = OPEN_TURN.values(attempt_alone=false())
_FAIL = OPEN_TURN.values(
    not_before=bindparam("until"),
    problem=bindparam("because"),
    attempts=turn.c.attempts + 1,
    attempt_owner="",
    **SPENT,
)
_END = OPEN_TURN.values(
    status=bindparam("to"),
    ended_at=bindparam("at"),
    problem=bindparam("because"),
    begun=true(),
    attempt_owner="",
    not_before=None,
    **SPENT,
)
_FINISH_ALL = delete(tool_call).where(
    tool_call.c.person_id == bindparam("person"), tool_call.c.turn_id == bindparam("turn")
)
_MEMBERS = update(message).where(message.c.turn_id == bindparam("of")).values(status=bindparam("to"))
# A late "stop" leaves to the next turn what was sent after it.
_LAST_MEMBER = (
    update(message)
    .where(message.c.seq == bindparam("last"), message.c.turn_id == bindparam("of"))
    .values(status=bindparam("to"))
)
_PART = (
    update(message)
    .where(message.c.turn_id == bindparam("of"))
    .values(turn_id=None, alone=True, status=MessageStatus.ACCEPTED.value)
)
_BURY = insert(dead_letter)
_MEMBERS_OF_STATUS: Final = {TurnStatus.STOPPED: MessageStatus.STOPPED}
"""What becomes of a turn's last message; answered, if it is not said here: an excuse is an answer too."""


# --- the attempt ----------------------------------------------------------------------------------------------------


def hold(
    tx: Tx,
    record: Turn,
    epoch: int,
    *,
    until: float,
    problem: str,
    notice: Reply | None,
    busy: bool,
    now: float,
) -> None:
    leases.fence(tx, record.person_id, epoch)
    noted = {"more": 0 if busy else 1, "told": busy and notice is not None}
    of_open_turn(tx, _HOLD, {"of": record.id, "until": until, "because": problem, **noted})
    tx.execute(_MEMBERS, {"of": record.id, "to": MessageStatus.HELD.value})
    if notice is not None:
        add_to_day(tx, record.person_id, Usage(), now, replies=1, fixed_replies=1)
        _tell(tx, record, [notice], ReplyMode.OUTBOX, now)


def requeue_turn(tx: Tx, record: Turn, epoch: int, *, until: float | None) -> None:
    leases.fence(tx, record.person_id, epoch)
    of_open_turn(tx, _PUT_BACK, {"of": record.id, "until": until})


def end_isolation(tx: Tx, record: Turn, epoch: int) -> None:
    leases.fence(tx, record.person_id, epoch)
    of_open_turn(tx, _OTHERS_COME, {"of": record.id})


def fail(
    tx: Tx,
    record: Turn,
    epoch: int,
    *,
    until: float,
    problem: str,
    usage: Usage,
    settles: Sequence[str] = (),
    now: float,
) -> None:
    leases.fence(tx, record.person_id, epoch)
    of_open_turn(tx, _FAIL, {"of": record.id, "until": until, "because": problem, **asdict(usage)})
    pay(tx, record.person_id, usage, settles, now)


# --- the turn -------------------------------------------------------------------------------------------------------


def end(
    tx: Tx,
    record: Turn,
    epoch: int,
    items: Sequence[HistoryItem],
    replies: Sequence[Reply],
    *,
    status: TurnStatus,
    problem: str,
    usage: Usage,
    settles: Sequence[str] = (),
    fixed: bool = False,
    parked: Sequence[ParkedRequest] = (),
    questions: Sequence[Question] = (),
    now: float,
) -> list[StoredReply]:
    leases.fence(tx, record.person_id, epoch)
    if status is TurnStatus.COMPLETED and not record.is_new_chat:
        waiting.interrupt(tx, record)
    add_items(tx, record, items, now)
    parked_requests.park(tx, record, parked, now)
    approvals.keep(tx, record, questions, now)
    if record.is_new_chat:
        context.begin_afresh(tx, record.person_id)
    told = {"replies": len(replies), "fixed_replies": len(replies) if fixed else 0}
    _close(tx, record, status, problem=problem, usage=usage, settles=settles, now=now, **told)
    if len(record.messages) > 1:
        tx.execute(_MEMBERS, {"of": record.id, "to": MessageStatus.MERGED.value})
    last = record.messages[-1]
    became = _MEMBERS_OF_STATUS.get(status, MessageStatus.COMPLETED)
    tx.execute(_LAST_MEMBER, {"of": record.id, "last": last.seq, "to": became.value})
    return _tell(tx, record, replies, last.reply_mode, now)


def split(tx: Tx, record: Turn, epoch: int, *, problem: str, now: float) -> int:
    leases.fence(tx, record.person_id, epoch)
    superseded = supersede(tx, record)
    _close(tx, record, TurnStatus.FAILED, problem=problem, now=now)
    tx.execute(_PART, {"of": record.id})
    return superseded


def give_up(
    tx: Tx,
    record: Turn,
    epoch: int,
    items: Sequence[HistoryItem],
    replies: Sequence[Reply],
    *,
    problem: str,
    now: float,
) -> int:
    leases.fence(tx, record.person_id, epoch)
    superseded = supersede(tx, record)
    add_items(tx, record, items, now)
    _close(tx, record, TurnStatus.FAILED, problem=problem, now=now, replies=len(replies))
    tx.execute(_MEMBERS, {"of": record.id, "to": MessageStatus.DEAD_LETTERED.value})
    _bury(tx, record, problem, now)
    _tell(tx, record, replies, record.messages[-1].reply_mode, now)
    return superseded


def _close(
    tx: Tx,
    record: Turn,
    status: TurnStatus,
    *,
    problem: str,
    usage: Usage | None = None,
    settles: Sequence[str] = (),
    now: float,
    **told: int,
) -> None:
    usage = usage or Usage()
    ended = {"of": record.id, "to": status.value, "at": now, "because": problem, **asdict(usage)}
    of_open_turn(tx, _END, ended)
    pay(tx, record.person_id, usage, settles, now, **told)
    tx.execute(_FINISH_ALL, {"person": record.person_id, "turn": record.id})


def _bury(tx: Tx, record: Turn, problem: str, now: float) -> None:
    rows = [
        {
            "id": new_id("dl", now),
            "person_id": record.person_id,
            "message_seq": member.seq,
            "message_id": "",
            "problem": problem,
            "dead_at": now,
        }
        for member in record.messages
    ]
    tx.execute(_BURY, rows)


def _tell(tx: Tx, record: Turn, replies: Sequence[Reply], mode: ReplyMode, now: float) -> list[StoredReply]:
    last = record.messages[-1]
    return [
        add_reply(
            tx,
            record.person_id,
            reply,
            turn_id=record.id,
            answers=last,
            channel=last.channel,
            address=last.address,
            mode=mode,
            now=now,
        )
        for reply in replies
    ]
