"""Outcomes of leased replies: a channel's acknowledgements and its network's receipts.

Both settle parts, whichever comes first. The first of them that names the parts of a reply fixes their number.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from kernel_service.ports import outbox
from kernel_service.ports.outbox import AckResult, Outcome
from kernel_service.ports.states.part import PART, PartState
from kernel_service.ports.states.reply import REOPENABLE, REPLY, ReplyState
from kernel_service.storage.keys import message_ids
from kernel_service.storage.outbox import doubt
from kernel_service.storage.schema.outbox import reply, reply_part

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.ports.outbox import PartAck, PartReceipt
    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

MAX_PARTS = 100
MAX_BACKOFF_SECONDS = 300.0
MOST_WAITS = 300
"""How often a reply is resent that the network fails each time with a retry time: a day's worth at five minutes."""

_PROGRESS = {state: place for place, state in enumerate(PartState)}

_REPLY = (
    select(reply)
    .where(
        reply.c.id == bindparam("reply"),
        reply.c.channel == bindparam("channel"),
        reply.c.state != ReplyState.INLINE.value,
    )
    .with_for_update()
)
_SETTLE = (
    update(reply)
    .where(reply.c.seq == bindparam("of"))
    .values(
        state=bindparam("to"),
        settled_at=bindparam("settled"),
        not_before=bindparam("later"),
        doubtful_since=None,
        doubt_attended=0.0,
        repeats=bindparam("repeated"),
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
_DIGEST = (
    update(reply_part)
    .where(reply_part.c.reply_id == bindparam("reply"), reply_part.c.part == bindparam("number"))
    .values(channel_message_id=bindparam("sent_as"))
)
_NAMED_BY_CHANNEL = (
    select(reply_part.c.reply_id, reply_part.c.part, reply.c.parts)
    .join(reply, reply.c.id == reply_part.c.reply_id)
    .where(message_ids.is_named(reply_part.c.channel_message_id), reply.c.channel == bindparam("channel"))
)
_PARTS = select(reply_part.c.sent_at, reply_part.c.receipt, reply_part.c.error_code).where(
    reply_part.c.reply_id == bindparam("reply")
)


@dataclass(frozen=True, slots=True)
class Mark:
    """New information about a part. `said` is its receipt's state, empty for an acknowledgement of success.

    `resent`: it acknowledges the current lease, and has no message id that distinguishes it from an earlier one.
    `outcome`, `retry_after` and `problem` tell how to continue if the part failed.
    """

    part: int
    parts: int
    sent_as: str
    said: PartState = PartState.UNREPORTED
    resent: bool = False
    outcome: Outcome = Outcome.RETRY
    retry_after: float | None = None
    problem: str = ""


def settle(tx: Tx, channel: str, ack: PartAck, now: float) -> AckResult:
    row = tx.execute(_REPLY, {"reply": ack.reply_id, "channel": channel}).one_or_none()
    if row is None:
        return AckResult.UNKNOWN
    if not ack.token or not _fits(row, ack.part, ack.parts, ack.split_version):
        return AckResult.INVALID
    if ack.outcome is Outcome.SENT:
        _split(tx, row, ack.parts, ack.split_version)
        resent = not ack.channel_message_id and row.state == ReplyState.LEASED and ack.token == row.token
        sent_as = message_ids.digest_of(tx, ack.channel_message_id)
        _mark(tx, row, Mark(ack.part, ack.parts, sent_as, resent=resent), now)
        return AckResult.RECORDED
    if ack.token != row.token or (row.state == ReplyState.LEASED and row.leased_until < now):
        return AckResult.STALE
    if row.state == ReplyState.LEASED:
        if ack.outcome is Outcome.UNKNOWN:  # the reply was not sent, so a later rule may split it differently
            _split(tx, row, ack.parts, ack.split_version)
        _fail(tx, row, ack.outcome, retry_after=ack.retry_after, problem=ack.error_code, now=now)
    return AckResult.RECORDED


def receive(tx: Tx, channel: str, receipt: PartReceipt, now: float) -> bool:
    reply_id, part, parts = _named(tx, channel, receipt)
    row = tx.execute(_REPLY, {"reply": reply_id, "channel": channel}).one_or_none()
    if row is None or not _fits(row, part, parts, row.split_version):
        return False
    _split(tx, row, parts, row.split_version)
    mark = Mark(
        part,
        parts,
        message_ids.digest_of(tx, receipt.channel_message_id),
        receipt.state,
        outcome=receipt.outcome,
        retry_after=receipt.retry_after,
        problem=receipt.error_code,
    )
    _mark(tx, row, mark, now)
    return True


def _named(tx: Tx, channel: str, receipt: PartReceipt) -> tuple[str, int, int]:
    """The reply, part and number of parts that a receipt is about; ("", 0, 0) if it identifies none."""
    if receipt.reply_id or not receipt.channel_message_id:
        return receipt.reply_id, receipt.part, receipt.parts
    row = tx.execute(
        _NAMED_BY_CHANNEL, {"channel": channel, **message_ids.named(tx, receipt.channel_message_id)}
    ).first()
    return (row.reply_id, row.part, row.parts) if row else ("", 0, 0)


def _fits(row: Row[Any], part: int, parts: int, split_version: str) -> bool:
    return 1 <= part <= parts <= MAX_PARTS and row.parts in (0, parts) and row.split_version in ("", split_version)


def _split(tx: Tx, row: Row[Any], parts: int, split_version: str) -> None:
    if (row.parts, row.split_version) != (parts, split_version):
        tx.execute(_SPLIT, {"of": row.seq, "into": parts, "version": split_version})


def _mark(tx: Tx, row: Row[Any], mark: Mark, now: float) -> None:
    """Record it on the part, then decide how the reply continues."""
    if not _noted(tx, row, mark, now):
        return
    if mark.said is PartState.FAILED and mark.outcome is Outcome.FAILED:
        if row.state != ReplyState.FAILED:
            _move(tx, row, ReplyState.FAILED, settled=now, problem=mark.problem)
        return
    parts = tx.execute(_PARTS, {"reply": row.id}).all()
    failed = [part.error_code for part in parts if part.receipt == PartState.FAILED]
    if sum(part.sent_at is not None for part in parts) == mark.parts:
        if row.state != ReplyState.SENT:
            _move(tx, row, ReplyState.SENT, settled=now)
    elif failed and len(parts) == mark.parts and row.state in REOPENABLE:
        # The outcome of every part is known, so no process is sending. The failed parts are sent again.
        outcome = mark.outcome if mark.said is PartState.FAILED else Outcome.RETRY
        if outcome is Outcome.RETRY and row.repeats + 1 >= _most_repeats(mark.retry_after):
            log.error("reply %s of %s is given up: it failed with %s each time", row.id, row.person_id, failed[0])
            outcome = Outcome.FAILED
        _fail(tx, row, outcome, retry_after=mark.retry_after, problem=failed[0], now=now, repeated=1)


def _noted(tx: Tx, row: Row[Any], mark: Mark, now: float) -> bool:
    """Whether the information is new; if so it is stored. A failed part does not count as sent."""
    part = _part(tx, row, mark)
    again = _sent_again(part, mark)
    before = PartState.UNREPORTED if again else PartState(part.receipt)
    ahead = _PROGRESS[mark.said] >= _PROGRESS[before]
    if before is PartState.FAILED and (not ahead or mark.said is PartState.FAILED):
        return False  # a late or repeated report of the failed message
    if mark.said is PartState.FAILED and not again and (not ahead or _of_another(part, mark)):
        return False  # already on the device; or the part was sent twice, and the other message did not fail
    receipt = mark.said if ahead else before
    PART.check(PartState(part.receipt), receipt)
    values = {
        "sent": None if receipt is PartState.FAILED else part.sent_at or now,
        "sent_as": mark.sent_as or part.channel_message_id,
        "said": receipt.value,
        "problem": mark.problem if ahead else part.error_code,
    }
    tx.execute(_MARK, {"reply": row.id, "number": mark.part} | values)
    return True


def _part(tx: Tx, row: Row[Any], mark: Mark) -> Row[Any]:
    key = {"reply": row.id, "number": mark.part}
    part = tx.execute(_PART, key).one_or_none()
    if part is None:
        tx.execute(insert(reply_part), {"reply_id": row.id, "part": mark.part})
        part = tx.execute(_PART, key).one()
    if message_ids.in_clear(part.channel_message_id):  # a row of an earlier release
        tx.execute(_DIGEST, key | {"sent_as": message_ids.digest_of(tx, part.channel_message_id)})
        part = tx.execute(_PART, key).one()
    return part


def _sent_again(part: Row[Any], mark: Mark) -> bool:
    """Whether this reports a message that replaced a failed one.

    An acceptance by the network may be a late report of a still earlier message, which failed too. So only the
    acknowledgement counts, or a delivery to the device.
    """
    if part.receipt != PartState.FAILED:
        return False
    return mark.resent or (_of_another(part, mark) and mark.said is not PartState.SENT)


def _of_another(part: Row[Any], mark: Mark) -> bool:
    return bool(part.channel_message_id and mark.sent_as) and mark.sent_as != part.channel_message_id


def _most_repeats(retry_after: float | None) -> int:
    return doubt.MOST_REPEATS if retry_after is None else MOST_WAITS


def _fail(
    tx: Tx,
    row: Row[Any],
    outcome: Outcome,
    *,
    retry_after: float | None,
    problem: str,
    now: float,
    repeated: int = 0,
) -> None:
    """`repeated`: 1 if the network had accepted the part."""
    match outcome:
        case Outcome.RETRY:
            wait = _backoff(row.attempts) if retry_after is None else retry_after
            _move(tx, row, ReplyState.PENDING, later=now + wait, problem=problem, repeated=repeated)
        case Outcome.FAILED:
            _move(tx, row, ReplyState.FAILED, settled=now, problem=problem)
        case Outcome.WINDOW_CLOSED:
            _move(tx, row, ReplyState.HELD, problem=problem)
        case Outcome.UNKNOWN:
            until = min(row.leased_until, now + outbox.SENDING_SECONDS)
            doubt.begin(tx, row.seq, problem=problem, until=until, now=now)


def _backoff(attempts: int) -> float:
    """Doubled each time, with jitter, so that replies that failed together are not retried together."""
    return min(MAX_BACKOFF_SECONDS, 2.0 ** min(attempts, 10)) * random.uniform(0.75, 1.0)  # noqa: S311


def _move(
    tx: Tx,
    row: Row[Any],
    state: ReplyState,
    *,
    settled: float | None = None,
    later: float | None = None,
    problem: str = "",
    repeated: int = 0,
) -> None:
    REPLY.check(ReplyState(row.state), state)
    moved = {"of": row.seq, "to": state.value, "settled": settled, "later": later, "problem": problem}
    tx.execute(_SETTLE, moved | {"repeated": row.repeats + repeated})
