"""The end of an attempt (put off, requeued, failed), and of a turn: answered, stopped, split or given up.

Each is one transaction, fenced: items, usage, replies, and the new state of the messages.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, true

from kernel_service.ports.interruptions import Stopped
from kernel_service.ports.messages import ReplyMode, Usage
from kernel_service.ports.outbox import StoredReplies
from kernel_service.ports.payloads import Scheduled
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.outbox.replies import add_reply
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.turns import dead_letter, tool_call
from kernel_service.storage.turns.items import OPEN_TURN, SPENT, of_open_turn
from kernel_service.storage.usage.reservations import pay
from kernel_service.storage.usage.spending import counts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.messages import Reply, StoredReply
    from kernel_service.ports.outbox import LeaseOffer
    from kernel_service.ports.turns import Turn
    from kernel_service.storage.engine.engine import Tx

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
_ADD_DEAD_LETTERS = insert(dead_letter)


def close(
    tx: Tx,
    record: Turn,
    status: TurnStatus,
    *,
    problem: str,
    usage: Usage | None = None,
    settles: Sequence[str] = (),
    now: float,
    **counts: int,
) -> None:
    """Raises `Stopped` instead of an end as COMPLETED, except of a "new chat"."""
    usage = usage or Usage()
    ended = {"of": record.id, "to": status.value, "at": now, "because": problem, **counts_of(usage)}
    was = of_open_turn(tx, _END, ended)
    if was.stopped and status is TurnStatus.COMPLETED and not record.is_new_chat:
        raise Stopped
    pay(tx, record.person_id, usage, settles, now, **counts)
    if was.closed:  # otherwise it has made no call
        tx.execute(_FINISH_ALL, {"person": record.person_id, "turn": record.id})


def add_dead_letters(tx: Tx, record: Turn, problem: str, now: float) -> None:
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
    tx.execute(_ADD_DEAD_LETTERS, rows)


def add_replies(
    tx: Tx, record: Turn, replies: Sequence[Reply], mode: ReplyMode, now: float, *, offer: LeaseOffer | None = None
) -> StoredReplies:
    """The offer is for the first reply, since the others wait for it."""
    last = record.messages[-1]
    content = last.payload.content
    subject = content.schedule_id if isinstance(content, Scheduled) else ""
    stored: list[StoredReply] = []
    lease, some_wait = None, False
    for reply in replies:
        added = add_reply(
            tx,
            record.person_id,
            reply,
            turn_id=record.id,
            answers=last,
            channel=last.channel,
            address=last.address,
            mode=mode,
            offer=None if stored else offer,
            subject=subject,
            now=now,
        )
        stored.append(added.stored)
        lease = lease or added.lease
        some_wait = some_wait or added.is_pending
    if lease and len(stored) > 1:
        lease = replace(lease, has_next=True)
    return StoredReplies(stored, lease, some_wait)
