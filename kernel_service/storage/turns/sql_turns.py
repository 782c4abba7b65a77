"""Turns: opened, journaled step by step, put off, and ended. Each operation is one transaction, fenced by the epoch."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Boolean, Integer, bindparam, delete, false, insert, or_, true, update

from kernel_service.ports.interruptions import Stopped
from kernel_service.ports.messages import MessageStatus, ReplyMode, Usage
from kernel_service.ports.states.message import MESSAGE, OPEN
from kernel_service.ports.turns import (
    CallRecord,
    Ended,
    HistoryItem,
    Turn,
    TurnMessage,
    TurnPlacement,
    TurnStatus,
)
from kernel_service.storage.approvals import approvals
from kernel_service.storage.connections import parked_requests
from kernel_service.storage.engine.units import SqlPort, writes, writes_behind
from kernel_service.storage.people import leases
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.transitions import is_one_of, may_become
from kernel_service.storage.schema.turns import tool_call, turn
from kernel_service.storage.turns import closing, context, opening, waiting
from kernel_service.storage.turns.context import following
from kernel_service.storage.turns.items import OPEN_TURN, SPENT, add_items, of_open_turn
from kernel_service.storage.turns.opening import supersede
from kernel_service.storage.turns.standing import standing
from kernel_service.storage.usage import spending
from kernel_service.storage.usage.reservations import pay
from kernel_service.storage.usage.spending import add_to_day, counts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.ports.approvals import ApprovalPrompt
    from kernel_service.ports.messages import Reply
    from kernel_service.ports.outbox import LeaseOffer
    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.ports.turns import NextTurn, ToolUse
    from kernel_service.storage.engine.engine import Tx

_START = insert(tool_call)
_CLOSE = OPEN_TURN.values(closed=true())
_FINISH = delete(tool_call).where(
    tool_call.c.person_id == bindparam("person"), tool_call.c.call_id == bindparam("call")
)
_SPENT_ALONE = OPEN_TURN.values(**SPENT)
_PROGRESS = OPEN_TURN.values(begun=true(), attempts=0, crash_count=0, crashes_alone=0, **SPENT)
_HOLD = OPEN_TURN.values(
    status=TurnStatus.HELD.value,
    not_before=bindparam("until"),
    problem=bindparam("because"),
    holds=turn.c.holds + bindparam("more", type_=Integer),
    told_busy=or_(turn.c.told_busy, bindparam("informed", type_=Boolean)),
    attempt_owner="",
)
_REQUEUE = OPEN_TURN.values(not_before=bindparam("until"), attempt_owner="")
_END_ISOLATION = OPEN_TURN.values(attempt_alone=false())
_FAIL = OPEN_TURN.values(
    not_before=bindparam("until"),
    problem=bindparam("because"),
    attempts=turn.c.attempts + 1,
    attempt_owner="",
    **SPENT,
)
_members = update(message).where(message.c.turn_id == bindparam("of"))
_BECOME: Final = {
    status: _members.where(may_become(message.c.status, MESSAGE, status)).values(status=status.value)
    for status in MessageStatus
}
_MERGE = _BECOME[MessageStatus.MERGED].where(message.c.seq != bindparam("last"))
# A late "stop" leaves messages that were sent after it to the next turn.
_LAST_BECOMES: Final = {status: become.where(message.c.seq == bindparam("last")) for status, become in _BECOME.items()}
_PART = _members.where(is_one_of(message.c.status, OPEN)).values(
    turn_id=None, alone=True, status=MessageStatus.ACCEPTED.value
)
_MEMBERS_OF_STATUS: Final = {TurnStatus.STOPPED: MessageStatus.STOPPED}
"""The status of a turn's last message, by the turn's. Any other is COMPLETED: an apology is an answer, too."""


class SqlTurns(SqlPort):
    """Fills `TurnStore`."""

    @writes(in_order_of="person_id")
    def next_turn(
        self,
        tx: Tx,
        person_id: str,
        epoch: int,
        *,
        now: float,
        debounce: float,
        placement: TurnPlacement = TurnPlacement.BESIDE,
    ) -> NextTurn:
        return opening.due(tx, person_id, epoch, now=now, debounce=debounce, placement=placement)

    def begin(self, person_id: str, epoch: int, message: TurnMessage, *, now: float, debounce: float) -> Turn:
        turn_id = new_id("t", now)
        self._open(person_id, turn_id, message.seq, epoch, now=now, debounce=debounce)
        return Turn(turn_id, person_id, [message], begun=False, started_at=now)

    @writes_behind(in_order_of="person_id")
    def _open(self, tx: Tx, person_id: str, turn_id: str, seq: int, epoch: int, *, now: float, debounce: float) -> None:
        opening.open_expected(tx, person_id, turn_id, seq, epoch, now=now, debounce=debounce)

    @writes(in_order_of="turn.person_id")  # the turn's opening may not be committed yet
    def check_interrupts(self, tx: Tx, turn: Turn) -> None:
        waiting.check(tx, turn)

    @writes(in_order_of="turn.person_id")
    def append(
        self,
        tx: Tx,
        turn: Turn,
        epoch: int,
        items: Sequence[HistoryItem],
        *,
        usage: Usage,
        finished: str = "",
        started: CallRecord | None = None,
        used: ToolUse | None = None,
        settles: Sequence[str] = (),
        now: float,
    ) -> None:
        stands = standing(tx, turn.person_id, epoch)
        if started is not None:
            _intend(tx, turn, started, stands)
        if finished:
            tx.execute(_FINISH, {"person": turn.person_id, "call": finished})
        add_items(tx, turn.person_id, turn.id, items, now, start=following(stands.last_item, stands.context_start))
        of_open_turn(tx, _PROGRESS, {"of": turn.id, **counts_of(usage)})
        pay(tx, turn.person_id, usage, settles, now)
        if used is not None:
            spending.add_use(tx, turn.person_id, used, now)

    @writes(in_order_of="turn.person_id")
    def add_usage(
        self, tx: Tx, turn: Turn, epoch: int, *, usage: Usage, settles: Sequence[str] = (), now: float
    ) -> None:
        leases.fence(tx, turn.person_id, epoch)
        of_open_turn(tx, _SPENT_ALONE, {"of": turn.id, **counts_of(usage)})
        pay(tx, turn.person_id, usage, settles, now)

    @writes(in_order_of="turn.person_id")
    def hold(
        self,
        tx: Tx,
        turn: Turn,
        epoch: int,
        *,
        until: float,
        problem: str,
        notice: Reply | None,
        busy: bool = False,
        now: float,
    ) -> None:
        leases.fence(tx, turn.person_id, epoch)
        noted = {"more": 0 if busy else 1, "informed": busy and notice is not None}
        of_open_turn(tx, _HOLD, {"of": turn.id, "until": until, "because": problem, **noted})
        tx.execute(_BECOME[MessageStatus.HELD], {"of": turn.id})
        if notice is not None:
            add_to_day(tx, turn.person_id, Usage(), now, replies=1, fixed_replies=1)
            closing.add_replies(tx, turn, [notice], ReplyMode.OUTBOX, now)

    @writes(in_order_of="turn.person_id")
    def end_isolation(self, tx: Tx, turn: Turn, epoch: int) -> None:
        leases.fence(tx, turn.person_id, epoch)
        of_open_turn(tx, _END_ISOLATION, {"of": turn.id})

    @writes(in_order_of="turn.person_id")
    def requeue(self, tx: Tx, turn: Turn, epoch: int, *, until: float | None = None) -> None:
        leases.fence(tx, turn.person_id, epoch)
        of_open_turn(tx, _REQUEUE, {"of": turn.id, "until": until})

    @writes(in_order_of="turn.person_id")
    def fail(
        self,
        tx: Tx,
        turn: Turn,
        epoch: int,
        *,
        until: float,
        problem: str,
        usage: Usage | None = None,
        settles: Sequence[str] = (),
        now: float,
    ) -> None:
        usage = usage or Usage()
        leases.fence(tx, turn.person_id, epoch)
        of_open_turn(tx, _FAIL, {"of": turn.id, "until": until, "because": problem, **counts_of(usage)})
        pay(tx, turn.person_id, usage, settles, now)

    @writes(in_order_of="turn.person_id")
    def split(self, tx: Tx, turn: Turn, epoch: int, *, problem: str, now: float) -> int:
        leases.fence(tx, turn.person_id, epoch)
        superseded = supersede(tx, turn)
        closing.close(tx, turn, TurnStatus.FAILED, problem=problem, now=now)
        tx.execute(_PART, {"of": turn.id})
        return superseded

    @writes(in_order_of="turn.person_id")
    def end(
        self,
        tx: Tx,
        turn: Turn,
        epoch: int,
        items: Sequence[HistoryItem],
        replies: Sequence[Reply],
        *,
        status: TurnStatus,
        problem: str = "",
        usage: Usage,
        settles: Sequence[str] = (),
        fixed: bool = False,
        parked: Sequence[ParkedRequest] = (),
        prompts: Sequence[ApprovalPrompt] = (),
        offer: LeaseOffer | None = None,
        now: float,
    ) -> Ended:
        stands = standing(tx, turn.person_id, epoch)
        if stands.waiting is not None and status is TurnStatus.COMPLETED and not turn.is_new_chat:
            waiting.interrupt(turn, stands)
        add_items(tx, turn.person_id, turn.id, items, now, start=following(stands.last_item, stands.context_start))
        if parked:
            parked_requests.park(tx, turn, parked, now)
        if prompts:
            approvals.keep(tx, turn, prompts, now)
        if turn.is_new_chat:
            context.start_over(tx, turn.person_id)
        counts = {"replies": len(replies), "fixed_replies": len(replies) if fixed else 0}
        closing.close(tx, turn, status, problem=problem, usage=usage, settles=settles, now=now, **counts)
        last = turn.messages[-1]
        if len(turn.messages) > 1:
            tx.execute(_MERGE, {"of": turn.id, "last": last.seq})
        became = _MEMBERS_OF_STATUS.get(status, MessageStatus.COMPLETED)
        tx.execute(_LAST_BECOMES[became], {"of": turn.id, "last": last.seq})
        stored = closing.add_replies(tx, turn, replies, last.reply_mode, now, offer=offer)
        return Ended(stored, waits=stands.waiting is not None)

    @writes(in_order_of="turn.person_id")
    def give_up(
        self,
        tx: Tx,
        turn: Turn,
        epoch: int,
        items: Sequence[HistoryItem],
        replies: Sequence[Reply],
        *,
        problem: str,
        now: float,
    ) -> int:
        stands = standing(tx, turn.person_id, epoch)
        superseded = supersede(tx, turn)
        add_items(tx, turn.person_id, turn.id, items, now, start=following(stands.last_item, stands.context_start))
        closing.close(tx, turn, TurnStatus.FAILED, problem=problem, now=now, replies=len(replies))
        tx.execute(_BECOME[MessageStatus.DEAD_LETTERED], {"of": turn.id})
        closing.add_dead_letters(tx, turn, problem, now)
        closing.add_replies(tx, turn, replies, turn.messages[-1].reply_mode, now)
        return superseded


def _intend(tx: Tx, record: Turn, started: CallRecord, stands: Row[Any]) -> None:
    """The point of no return: later messages wait for the next turn."""
    waiting.interrupt(record, stands)
    if of_open_turn(tx, _CLOSE, {"of": record.id}).stopped:
        raise Stopped
    tx.execute(_START, {"person_id": record.person_id, "turn_id": record.id, **asdict(started)})
