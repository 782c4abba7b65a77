"""What became of leased replies: a channel's acknowledgements and its network's receipts.

The first that names the parts of a reply fixes how many there are. Both settle parts; whichever comes first.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select, update

from kernel_service.kernels.store import AckResult, Outcome
from kernel_service.storage.schema import reply, reply_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.kernels.store import PartAck, PartReceipt
    from kernel_service.storage.engine import Tx

MAX_PARTS = 100
MAX_BACKOFF_SECONDS = 300.0

# A receipt only moves to the right: what is on a device was not refused, what was refused had been taken.
_PROGRESS = {"": 0, "sent": 1, "failed": 2, "delivered": 3, "read": 4, "played": 5}
_OPEN = frozenset({"pending", "leased", "in_doubt"})

_REPLY = (
    select(reply)
    .where(reply.c.id == bindparam("reply"), reply.c.channel == bindparam("channel"), reply.c.state != "inline")
    .with_for_update()
)
_SETTLE = (
    update(reply)
    .where(reply.c.seq == bindparam("of"))
    .values(
        state=bindparam("to"),
        settled_at=bindparam("settled"),
        not_before=bindparam("later"),
        doubtful_since=bindparam("doubted"),
        error_code=bindparam("problem"),
    )
)
_SPLIT = (
    update(reply)
    .where(reply.c.seq == bindparam("of"))
    .values(parts=bindparam("into"), split_version=bindparam("version"))
)
_PART = select(reply_part).where(reply_part.c.reply_id == bindparam("reply"), reply_part.c.part == bindparam("number"))
_MARK = (
    update(reply_part)
    .where(reply_part.c.reply_id == bindparam("reply"), reply_part.c.part == bindparam("number"))
    .values(
        sent_at=bindparam("sent"),
        channel_message_id=bindparam("sent_as"),
        receipt=bindparam("said"),
        error_code=bindparam("problem"),
    )
)
_NAMED_BY_CHANNEL = (
    select(reply_part.c.reply_id, reply_part.c.part, reply.c.parts)
    .join(reply, reply.c.id == reply_part.c.reply_id)
    .where(reply_part.c.channel_message_id == bindparam("sent_as"), reply.c.channel == bindparam("channel"))
)
_SENT = select(func.count()).where(reply_part.c.reply_id == bindparam("reply"), reply_part.c.sent_at.is_not(None))


@dataclass(frozen=True, slots=True)
class Mark:
    """What is now known of a part. `said` is its receipt's state, empty for an acknowledgement of success."""

    part: int
    parts: int
    sent_as: str
    said: str = ""
    problem: str = ""


def settle(tx: Tx, channel: str, acks: Sequence[PartAck], *, now: float) -> list[AckResult]:
    return [_settle(tx, channel, ack, now) for ack in acks]


def _settle(tx: Tx, channel: str, ack: PartAck, now: float) -> AckResult:
    row = tx.execute(_REPLY, {"reply": ack.reply_id, "channel": channel}).one_or_none()
    if row is None:
        return AckResult.UNKNOWN
    if not ack.token or not _fits(row, ack.part, ack.parts, ack.split_version):
        return AckResult.INVALID
    if ack.outcome is Outcome.SENT:
        _split(tx, row, ack.parts, ack.split_version)
        _mark(tx, row, Mark(ack.part, ack.parts, ack.channel_message_id), now)
        return AckResult.RECORDED
    if ack.token != row.token or (row.state == "leased" and row.leased_until < now):
        return AckResult.STALE
    if row.state == "leased":
        _split(tx, row, ack.parts, ack.split_version)
        _fail(tx, row, ack, now)
    return AckResult.RECORDED


def receive(tx: Tx, channel: str, receipts: Sequence[PartReceipt], *, now: float) -> int:
    return sum(_receive(tx, channel, receipt, now) for receipt in receipts)


def _receive(tx: Tx, channel: str, receipt: PartReceipt, now: float) -> bool:
    reply_id, part, parts = _named(tx, channel, receipt)
    row = tx.execute(_REPLY, {"reply": reply_id, "channel": channel}).one_or_none()
    if row is None or not _fits(row, part, parts, row.split_version):
        return False
    _split(tx, row, parts, row.split_version)
    _mark(tx, row, Mark(part, parts, receipt.channel_message_id, receipt.state, receipt.error_code), now)
    return True


def _named(tx: Tx, channel: str, receipt: PartReceipt) -> tuple[str, int, int]:
    """The reply, part and number of parts that a receipt is about; ("", 0, 0) if it names none."""
    if receipt.reply_id or not receipt.channel_message_id:
        return receipt.reply_id, receipt.part, receipt.parts
    row = tx.execute(_NAMED_BY_CHANNEL, {"sent_as": receipt.channel_message_id, "channel": channel}).first()
    return (row.reply_id, row.part, row.parts) if row else ("", 0, 0)


def _fits(row: Row[Any], part: int, parts: int, split_version: str) -> bool:
    return 1 <= part <= parts <= MAX_PARTS and row.parts in (0, parts) and row.split_version in ("", split_version)


def _split(tx: Tx, row: Row[Any], parts: int, split_version: str) -> None:
    if (row.parts, row.split_version) != (parts, split_version):
        tx.execute(_SPLIT, {"of": row.seq, "into": parts, "version": split_version})


def _mark(tx: Tx, row: Row[Any], mark: Mark, now: float) -> None:
    """Note it on the part, then say what follows for the reply."""
    if _noted(tx, row, mark, now) == "failed":
        if mark.said == "failed" and row.state in _OPEN:
            _move(tx, row, "failed", settled=now, problem=mark.problem)
    elif row.state != "sent" and tx.execute(_SENT, {"reply": row.id}).scalar_one() == mark.parts:
        _move(tx, row, "sent", settled=now)


def _noted(tx: Tx, row: Row[Any], mark: Mark, now: float) -> str:
    """The part's receipt after the mark. A part that failed does not count as sent."""
    key = {"reply": row.id, "number": mark.part}
    part = tx.execute(_PART, key).one_or_none()
    if part is None:
        tx.execute(insert(reply_part), {"reply_id": row.id, "part": mark.part})
        part = tx.execute(_PART, key).one()
    ahead = _PROGRESS[mark.said] >= _PROGRESS[part.receipt]
    receipt = mark.said if ahead else part.receipt
    values = {
        "sent": None if receipt == "failed" else part.sent_at or now,
        "sent_as": mark.sent_as or part.channel_message_id,
        "said": receipt,
        "problem": mark.problem if ahead else part.error_code,
    }
    tx.execute(_MARK, key | values)
    return receipt


def _fail(tx: Tx, row: Row[Any], ack: PartAck, now: float) -> None:
    match ack.outcome:
        case Outcome.RETRY:
            wait = _backoff(row.attempts) if ack.retry_after is None else ack.retry_after
            _move(tx, row, "pending", later=now + wait, problem=ack.error_code)
        case Outcome.FAILED:
            _move(tx, row, "failed", settled=now, problem=ack.error_code)
        case Outcome.WINDOW_CLOSED:
            _move(tx, row, "held", problem=ack.error_code)
        case Outcome.UNKNOWN:
            _move(tx, row, "in_doubt", doubted=now, problem=ack.error_code)


def _backoff(attempts: int) -> float:
    """Doubled each time, and spread so that what failed together does not come back together."""
    return min(MAX_BACKOFF_SECONDS, 2.0 ** min(attempts, 10)) * random.uniform(0.75, 1.0)  # noqa: S311


def _move(
    tx: Tx,
    row: Row[Any],
    state: str,
    *,
    settled: float | None = None,
    later: float | None = None,
    doubted: float | None = None,
    problem: str = "",
) -> None:
    values = {"to": state, "settled": settled, "later": later, "doubted": doubted, "problem": problem}
    tx.execute(_SETTLE, {"of": row.seq} | values)
