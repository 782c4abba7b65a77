"""Outcomes of leased replies: a channel's acknowledgements and its network's receipts.

Both settle parts, whichever comes first. The first of them that names the parts of a reply fixes their number.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from kernel_service.ports import outbox
from kernel_service.ports.outbox import AckResult, Outcome, ReceivedReceipts, SettledAcks
from kernel_service.ports.states.part import PartState
from kernel_service.ports.states.reply import REOPENABLE, ReplyState
from kernel_service.storage.keys import message_ids
from kernel_service.storage.outbox import doubt, held_replies, opened_windows
from kernel_service.storage.outbox.reported_replies import ReportedReplies
from kernel_service.storage.schema.outbox import reply, reply_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.outbox import PartAck, PartReceipt
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.outbox.reported_replies import ReportedPart, ReportedReply

log = logging.getLogger(__name__)

MAX_PARTS = 100
MAX_BACKOFF_SECONDS = 300.0
MOST_WAITS = 300
"""How often a reply is resent that the network fails each time with a retry time: a day's worth at five minutes."""

_reply_of = attrgetter("reply_id")
_PROGRESS = {state: place for place, state in enumerate(PartState)}

_NAMED_BY_CHANNEL = (
    select(reply_part.c.reply_id, reply_part.c.part, reply.c.parts)
    .join(reply, reply.c.id == reply_part.c.reply_id)
    .where(message_ids.is_named(reply_part.c.channel_message_id), reply.c.channel == bindparam("channel"))
)


@dataclass(slots=True)
class Mark:
    """New information about a part. `reported` is its receipt's state, empty for an acknowledgement of success.

    `resent`: it acknowledges the current lease, and has no message id that distinguishes it from an earlier one.
    `outcome`, `retry_after` and `problem` determine how to continue if the part failed.
    """

    part: int
    parts: int
    sent_as: str
    reported: PartState = PartState.UNREPORTED
    resent: bool = False
    outcome: Outcome = Outcome.RETRY
    retry_after: float | None = None
    problem: str = ""


def settle(tx: Tx, channel: str, acks: Sequence[PartAck], now: float) -> SettledAcks:
    replies = ReportedReplies(tx, channel, set(map(_reply_of, acks)))
    results = [_settle(tx, replies.by_id.get(ack.reply_id), ack, now) for ack in acks]
    if any(ack.outcome is Outcome.WINDOW_CLOSED for ack in acks):
        held_replies.await_asked(tx, channel, replies.held, now)
    return SettledAcks(results, frees=replies.write())


def _settle(tx: Tx, row: ReportedReply | None, ack: PartAck, now: float) -> AckResult:
    if row is None:
        return AckResult.UNKNOWN
    if not ack.token or not _fits(row, ack.part, ack.parts, ack.split_version):
        return AckResult.INVALID
    if ack.outcome is Outcome.SENT:
        row.split(ack.parts, ack.split_version)
        resent = not ack.channel_message_id and row.state is ReplyState.LEASED and ack.token == row.token
        sent_as = tx.digests.message_id(ack.channel_message_id)
        _mark(row, Mark(ack.part, ack.parts, sent_as, resent=resent), now)
        return AckResult.RECORDED
    if ack.token != row.token or (row.state is ReplyState.LEASED and _leased_until(row) < now):
        return AckResult.STALE
    if row.state is ReplyState.LEASED:
        if ack.outcome is Outcome.UNKNOWN:  # the reply was not sent, so a later rule may split it differently
            row.split(ack.parts, ack.split_version)
        _fail(row, ack.outcome, retry_after=ack.retry_after, problem=ack.error_code, now=now)
    return AckResult.RECORDED


def receive(tx: Tx, channel: str, receipts: Sequence[PartReceipt], now: float) -> ReceivedReceipts:
    if not all(map(_reply_of, receipts)):
        receipts = [each if each.reply_id else _named(tx, channel, each) for each in receipts]
    replies = ReportedReplies(tx, channel, set(map(_reply_of, receipts)))
    recorded, some_held = 0, False
    for receipt in receipts:
        row = replies.by_id.get(receipt.reply_id)
        if row is not None and _fits(row, receipt.part, receipt.parts, row.split_version):
            _receive(tx, row, receipt, now)
            recorded += 1
            some_held = some_held or row.state is ReplyState.HELD
    if some_held:
        opened_windows.release(tx, channel, replies.held)
        held_replies.await_asked(tx, channel, replies.held, now)
    return ReceivedReceipts(recorded, frees=replies.write())


def _receive(tx: Tx, row: ReportedReply, receipt: PartReceipt, now: float) -> None:
    if row.parts != receipt.parts:
        row.split(receipt.parts, row.split_version)
    mark = Mark(
        receipt.part,
        receipt.parts,
        tx.digests.message_id(receipt.channel_message_id),
        receipt.state,
        outcome=receipt.outcome,
        retry_after=receipt.retry_after,
        problem=receipt.error_code,
    )
    _mark(row, mark, now)


def _named(tx: Tx, channel: str, receipt: PartReceipt) -> PartReceipt:
    """The receipt with the part that has the channel's id, if there is one."""
    if not receipt.channel_message_id:
        return receipt
    row = tx.execute(
        _NAMED_BY_CHANNEL, {"channel": channel, **message_ids.named(tx, receipt.channel_message_id)}
    ).first()
    return replace(receipt, reply_id=row.reply_id, part=row.part, parts=row.parts) if row else receipt


def _fits(row: ReportedReply, part: int, parts: int, split_version: str) -> bool:
    return 1 <= part <= parts <= MAX_PARTS and row.parts in (0, parts) and row.split_version in ("", split_version)


def _mark(row: ReportedReply, mark: Mark, now: float) -> None:
    """Record it on the part, then decide how the reply continues."""
    if not _noted(row.part(mark.part), mark, now):
        return
    if mark.reported is PartState.FAILED and mark.outcome is Outcome.FAILED:
        if row.state is not ReplyState.FAILED:
            row.move(ReplyState.FAILED, settled_at=now, error_code=mark.problem)
        return
    if _are_sent(row, mark.parts):
        if row.state is not ReplyState.SENT:
            row.move(ReplyState.SENT, settled_at=now)
    elif len(row.known_parts) == mark.parts and row.state in REOPENABLE:
        _send_failed_again(row, mark, now)


def _are_sent(row: ReportedReply, parts: int) -> bool:
    sent = 0
    for part in row.known_parts.values():
        if part.sent_at is not None:
            sent += 1
    return sent == parts


def _send_failed_again(row: ReportedReply, mark: Mark, now: float) -> None:
    """The outcome of every part is known, so no process is sending."""
    failed = [part.error_code for part in row.known_parts.values() if part.receipt is PartState.FAILED]
    if not failed:
        return
    outcome = mark.outcome if mark.reported is PartState.FAILED else Outcome.RETRY
    if outcome is Outcome.RETRY and row.repeats + 1 >= _most_repeats(mark.retry_after):
        log.error("reply %s of %s is given up: it failed with %s each time", row.id, row.person_id, failed[0])
        outcome = Outcome.FAILED
    _fail(row, outcome, retry_after=mark.retry_after, problem=failed[0], now=now, repeated=1)


def _noted(part: ReportedPart, mark: Mark, now: float) -> bool:
    """Whether the report counts; if so it is recorded. A failed part does not count as sent."""
    again = part.receipt is PartState.FAILED and _sent_again(part, mark)
    before = PartState.UNREPORTED if again else part.receipt
    ahead = _PROGRESS[mark.reported] >= _PROGRESS[before]
    if before is PartState.FAILED and (not ahead or mark.reported is PartState.FAILED):
        return False  # a late or repeated report of the failed message
    if mark.reported is PartState.FAILED and not again and (not ahead or _of_another(part, mark)):
        return False  # already on the device; or the part was sent twice, and the other message did not fail
    receipt = mark.reported if ahead else before
    part.report(
        None if receipt is PartState.FAILED else part.sent_at or now,
        mark.sent_as or part.sent_as,
        receipt,
        mark.problem if ahead else part.error_code,
    )
    return True


def _sent_again(part: ReportedPart, mark: Mark) -> bool:
    """Whether this reports a message that replaced the failed one.

    An acceptance by the network may be a late report of a still earlier message, which failed too. So only the
    acknowledgement counts, or a delivery to the device.
    """
    return mark.resent or (_of_another(part, mark) and mark.reported is not PartState.SENT)


def _of_another(part: ReportedPart, mark: Mark) -> bool:
    return bool(part.sent_as and mark.sent_as) and mark.sent_as != part.sent_as


def _most_repeats(retry_after: float | None) -> int:
    return doubt.MOST_REPEATS if retry_after is None else MOST_WAITS


def _fail(
    row: ReportedReply,
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
            row.move(ReplyState.PENDING, not_before=now + wait, error_code=problem, repeated=repeated)
        case Outcome.FAILED:
            row.move(ReplyState.FAILED, settled_at=now, error_code=problem)
        case Outcome.WINDOW_CLOSED:
            row.move(ReplyState.HELD, not_before=None if retry_after is None else now + retry_after, error_code=problem)
        case Outcome.UNKNOWN:
            row.doubt(now, until=min(_leased_until(row), now + outbox.SENDING_SECONDS), error_code=problem)


def _leased_until(row: ReportedReply) -> float:
    return row.leased_until or 0.0


def _backoff(attempts: int) -> float:
    """Doubled each time, with jitter, so that replies that failed together are not retried together."""
    return min(MAX_BACKOFF_SECONDS, 2.0 ** min(attempts, 10)) * random.uniform(0.75, 1.0)  # noqa: S311
