"""The outbox: replies leased to a channel, in each person's order. delivery.py and doubt.py settle the leases."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Float,
    Integer,
    bindparam,
    case,
    exists,
    not_,
    or_,
    select,
    update,
)

from kernel_service.errors import Unreadable
from kernel_service.ports.lease_tokens import new_token, prefix_of
from kernel_service.ports.messages import LATE_REPLY_SECONDS, Notice
from kernel_service.ports.outbox import Lease
from kernel_service.ports.states.reply import RELEASED, REPLY, ReplyState
from kernel_service.ports.typing import TypingItem
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.keys import message_ids
from kernel_service.storage.nodes import pullers
from kernel_service.storage.outbox import delivery, doubt, held_replies, orphans, replies
from kernel_service.storage.outbox.recipients import DELAYS_LATER, earlier, recipient
from kernel_service.storage.outbox.row_locks import in_order
from kernel_service.storage.people.people import alias_value
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.outbox import (
    LATER_UNSETTLED,
    REPLY_ON_ITS_WAY,
    REPLY_PENDING,
    reply,
    reply_part,
)
from kernel_service.storage.schema.transitions import may_become, may_take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row, Select

    from kernel_service.ports.messages import Reply
    from kernel_service.ports.outbox import PartAck, PartReceipt, Puller, ReceivedReceipts, SettledAcks
    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

_WAITS_FOR_EARLIER = exists().where(
    earlier.c.person_id == reply.c.person_id,
    earlier.c.channel == reply.c.channel,
    earlier.c.seq < reply.c.seq,
    DELAYS_LATER,
)
_later = reply.alias("later")
_HAS_NEXT = exists().where(
    _later.c.person_id == reply.c.person_id,
    _later.c.channel == reply.c.channel,
    _later.c.seq > reply.c.seq,
    LATER_UNSETTLED,
    _later.c.state == ReplyState.PENDING.value,
)
_LEASABLE = (
    select(reply, _HAS_NEXT.label("has_next"))
    .where(
        reply.c.channel == bindparam("channel"),
        REPLY_PENDING,
        or_(reply.c.not_before.is_(None), reply.c.not_before <= bindparam("now")),
        not_(_WAITS_FOR_EARLIER),
    )
    .order_by(reply.c.seq)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(of=reply, skip_locked=True)
)
_LEASABLE_AT = _LEASABLE.where(reply.c.address.in_(bindparam("addresses", expanding=True)))
_SENT_PARTS = (
    select(reply_part.c.part)
    .where(reply_part.c.reply_id == bindparam("reply"), reply_part.c.sent_at.is_not(None))
    .order_by(reply_part.c.part)
)
_ANSWERED = select(message).where(message.c.seq == bindparam("of"), MESSAGE_OPEN)
_LEASE = (
    update(reply)
    .where(reply.c.seq.in_(bindparam("seqs", expanding=True)))
    .values(
        state=ReplyState.LEASED.value,
        token=bindparam("lease"),
        leased_until=bindparam("until"),
        attempts=reply.c.attempts + 1,
        not_before=None,
    )
)
_HOLD = (
    update(reply)
    .where(reply.c.seq == bindparam("held"), may_become(reply.c.state, REPLY, ReplyState.HELD))
    .values(state=ReplyState.HELD.value, error_code=bindparam("problem"))
)
_RELEASE = (
    update(reply)
    .where(reply.c.id == bindparam("of"), reply.c.token == bindparam("lease"), may_take(reply.c.state, RELEASED))
    .values(state=RELEASED.target.value, token="")
)
_RELEASE_OFFERED = (
    update(reply)
    .where(REPLY_ON_ITS_WAY, may_take(reply.c.state, RELEASED), reply.c.token == bindparam("lease"))
    .values(state=RELEASED.target.value, token="")
)
_RELEASE_OF_INSTANCE = (
    update(reply)
    .where(
        in_order(
            reply.c.channel == bindparam("of"),
            REPLY_ON_ITS_WAY,
            may_take(reply.c.state, RELEASED),
            reply.c.token.like(bindparam("theirs")),
            reply.c.id.not_in(bindparam("in_hand", expanding=True)),
        )
    )
    .values(state=RELEASED.target.value, token="")
)
_until = bindparam("until", type_=Float)
_EXPIRE = (
    update(reply)
    .where(
        REPLY_ON_ITS_WAY,
        reply.c.leased_until > _until,
        reply.c.id == bindparam("of"),
        reply.c.token == bindparam("lease"),
    )
    .values(leased_until=_until)
)
_LEASED_UNTIL = select(reply.c.id, reply.c.token, reply.c.leased_until).where(
    reply.c.id.in_(bindparam("replies", expanding=True)), reply.c.state == ReplyState.LEASED.value
)
_EXTEND = (
    update(reply)
    .where(
        reply.c.id == bindparam("of"),
        reply.c.channel == bindparam("by"),
        reply.c.token == bindparam("lease"),
        reply.c.state == ReplyState.LEASED.value,
        reply.c.leased_until > bindparam("now", type_=Float),
    )
    .values(leased_until=case((reply.c.leased_until > _until, reply.c.leased_until), else_=_until))
)


class SqlOutbox(SqlPort):
    """Fills `OutboxStore`."""

    @writes(in_order_of="person_id")
    def notify(self, tx: Tx, person_id: str, reply: Reply, *, channel: str, address: str, now: float) -> str:
        return replies.notify(tx, person_id, Notice(reply, channel, address, now))

    @writes(in_order_of="channel")
    def open_puller(self, tx: Tx, channel: str, instance: str, *, now: float) -> int:
        return pullers.open_puller(tx, channel, instance, now)

    @writes(in_order_of="puller.channel")
    def lease(
        self, tx: Tx, puller: Puller, addresses: Sequence[str], *, limit: int, seconds: float, now: float
    ) -> list[Lease] | None:
        if not pullers.may_lease(tx, puller):
            return None
        token = new_token(puller.instance, puller.node)
        values = {"channel": puller.channel, "now": now, "limit": limit}
        due: Select[Any] = _LEASABLE
        if addresses:
            due, values["addresses"] = _LEASABLE_AT, list(addresses)
        rows = tx.execute(due, values).all()
        leases = {row.seq: one for row in rows if (one := _leased(tx, row, token, now, now + seconds))}
        if leases:
            tx.execute(_LEASE, {"seqs": list(leases), "lease": token, "until": now + seconds})
        return list(leases.values())

    @reads
    def leased_until(self, tx: Tx, leases: Sequence[tuple[str, str]]) -> list[float | None]:
        rows = tx.execute(_LEASED_UNTIL, {"replies": [reply_id for reply_id, _ in leases]}).all() if leases else []
        until = {(row.id, row.token): row.leased_until for row in rows}
        return [until.get(lease) for lease in leases]

    @reads
    def typing_item(self, tx: Tx, seq: int) -> TypingItem | None:
        answered = tx.execute(_ANSWERED, {"of": seq}).one_or_none()
        if answered is None:
            return None
        found = recipient(tx, answered.person_id, answered.channel, answered.address, seq)
        if found is None:
            return None
        return TypingItem(alias_value(tx, found), answered.address, message_ids.opened(tx, answered))

    @writes()
    def release(self, tx: Tx, leases: Sequence[tuple[str, str]]) -> None:
        tx.execute(_RELEASE, [{"of": reply_id, "lease": token} for reply_id, token in sorted(leases)])

    @writes(in_order_of="person_id")
    def release_offered(self, tx: Tx, person_id: str, token: str) -> None:  # noqa: ARG002 - the order
        tx.execute(_RELEASE_OFFERED, {"lease": token})

    @writes(in_order_of="channel")
    def release_leases(self, tx: Tx, channel: str, instance: str, in_hand: Sequence[str]) -> int:
        pullers.release(tx, channel, instance)
        theirs = {"of": channel, "theirs": f"{prefix_of(instance)}%", "in_hand": list(in_hand)}
        return tx.execute(_RELEASE_OF_INSTANCE, theirs).rowcount

    @writes(in_order_of="channel")
    def extend_leases(
        self, tx: Tx, channel: str, leases: Sequence[tuple[str, str]], *, until: float, now: float
    ) -> list[bool]:
        given = {"by": channel, "until": until, "now": now}
        held = {
            (of, token): tx.execute(_EXTEND, given | {"of": of, "lease": token}).rowcount == 1
            for of, token in sorted(set(leases))
        }
        return [held[lease] for lease in leases]

    @writes(in_order_of="channel")
    def settle(self, tx: Tx, channel: str, acks: Sequence[PartAck], *, now: float) -> SettledAcks:
        return delivery.settle(tx, channel, acks, now)

    @writes(in_order_of="channel")
    def receive(self, tx: Tx, channel: str, receipts: Sequence[PartReceipt], *, now: float) -> ReceivedReceipts:
        return delivery.receive(tx, channel, receipts, now)

    @writes()
    def expire_leases(self, tx: Tx, leases: Sequence[tuple[str, str]], *, until: float) -> None:
        if leases:
            tx.execute(_EXPIRE, [{"of": of, "lease": token, "until": until} for of, token in sorted(leases)])

    @writes()
    def expire_orphans(self, tx: Tx, *, until: float, now: float) -> list[str]:
        return orphans.expire(tx, until=until, now=now)

    @writes()
    def retry_held(
        self, tx: Tx, *, asked_recently: float, asked_before: float, made_after: float, now: float
    ) -> list[str]:
        return held_replies.retry(
            tx, asked_recently=asked_recently, asked_before=asked_before, made_after=made_after, now=now
        )

    @writes()
    def sweep(
        self, tx: Tx, *, grace: float, longest_grace: float, connected: Sequence[str], seconds: float, now: float
    ) -> int:
        doubt.note_connected(tx, connected, seconds, now)
        return doubt.end(tx, grace=grace, longest_grace=longest_grace, now=now) + doubt.begin_lapsed(tx, now)


def _leased(tx: Tx, row: Row[Any], token: str, now: float, until: float) -> Lease | None:
    """The row as a lease. None: it has no recipient, or no key that opens it, and is held."""
    try:
        user_id, answers = _recipient(tx, row)
        stored = replies.opened(tx, row, answers=answers)
    except Unreadable as unreadable:
        user_id, problem = "", unreadable.reason.lower()
    else:
        problem = replies.NO_RECIPIENT
    if not user_id:
        log.warning("reply %s is held: %s", row.id, problem)
        tx.execute(_HOLD, {"held": row.seq, "problem": problem})
        return None
    sent = list(tx.execute(_SENT_PARTS, {"reply": row.id}).scalars()) if row.parts else []
    if stored.reply.late and not row.parts and now - stored.created_at > LATE_REPLY_SECONDS:
        stored = replace(stored, reply=replace(stored.reply, text=stored.reply.late))
    return Lease(
        stored,
        row.person_id,
        user_id,
        row.address,
        token,
        until,
        sent,
        row.parts,
        row.split_version,
        has_next=bool(row.has_next),
    )


def _recipient(tx: Tx, row: Row[Any]) -> tuple[str, str]:
    """The person's id in the channel, and the id of the answered message. Both may be empty."""
    found = recipient(tx, row.person_id, row.channel, row.address, replies.answered_seq(tx, row))
    if found is None:
        return "", ""
    return alias_value(tx, found), message_ids.opened(tx, found) if found.message_id else ""
