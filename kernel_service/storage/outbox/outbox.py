"""What people are told: kept here, leased to a channel in each person's order, and shown to operators.

A reply is pending, leased, in_doubt (nobody knows whether it was sent), sent, failed, held (nobody can be written
to now) or inline (the caller of HandleMessage delivers it). What becomes of a lease is in delivery.py and doubt.py.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import BigInteger, Integer, and_, bindparam, exists, false, func, insert, not_, or_, select, update

from kernel_service.errors import CallerError, Conflict
from kernel_service.ports.admin import PartView, ReplyView
from kernel_service.ports.messages import Link, Reply, ReplyChoice, ReplyFile, ReplyMode, StoredReply
from kernel_service.ports.outbox import Lease
from kernel_service.storage.keys import message_ids
from kernel_service.storage.media import made_files
from kernel_service.storage.people.people import alias_value, surviving
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.schema import (
    EARLIER_UNSETTLED,
    REPLY_ON_ITS_WAY,
    REPLY_PENDING,
    REPLY_UNSETTLED,
    alias,
    message,
    reply,
    reply_part,
)
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row, Select

    from kernel_service.ports.messages import Notice
    from kernel_service.ports.turns import TurnMessage
    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

NO_RECIPIENT = "no_recipient"

_INLINE = select(reply).where(reply.c.turn_id == bindparam("turn"), reply.c.state == "inline").order_by(reply.c.seq)

_earlier = reply.alias("earlier")
_WAITS_FOR_EARLIER = exists().where(
    _earlier.c.person_id == reply.c.person_id,
    _earlier.c.channel == reply.c.channel,
    _earlier.c.seq < reply.c.seq,
    EARLIER_UNSETTLED,
    _earlier.c.state.in_(("pending", "leased", "in_doubt")),
)
_LEASABLE = (
    select(reply)
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

# Of several phones the one that asked is answered.
_answered = bindparam("answered", type_=BigInteger)
_asked = and_(message.c.channel == alias.c.channel, message.c.user_digest == alias.c.digest)
# An id that the person wrote under at this address is one the channel can answer to; a parent id may not be.
_written = message.alias("written")
_wrote_as = (
    exists()
    .where(
        _written.c.channel == alias.c.channel,
        _written.c.address == bindparam("address"),
        _written.c.user_digest == alias.c.digest,
    )
    .correlate(alias)
)
# So is one that the channel named as theirs from now on; one that was replaced leads nowhere, or to a stranger.
_RECIPIENT = (
    select(alias, message.c.seq, message.c.message_id, message.c.sealed_id)
    .select_from(alias.outerjoin(message, message.c.seq == _answered))
    .where(
        alias.c.person_id == bindparam("person"),
        alias.c.channel == bindparam("channel"),
        alias.c.replaced_at.is_(None),
    )
    .order_by(
        or_(_wrote_as, alias.c.linked_at.is_not(None)).desc(),
        alias.c.strong.desc(),
        func.coalesce(_asked, false()).desc(),
        alias.c.created_at.desc(),
    )
    .limit(1)
)
_SENT_PARTS = (
    select(reply_part.c.part)
    .where(reply_part.c.reply_id == bindparam("reply"), reply_part.c.sent_at.is_not(None))
    .order_by(reply_part.c.part)
)
_LEASE = (
    update(reply)
    .where(reply.c.seq.in_(bindparam("seqs", expanding=True)))
    .values(
        state="leased",
        token=bindparam("lease"),
        leased_until=bindparam("until"),
        attempts=reply.c.attempts + 1,
        not_before=None,
    )
)
_HOLD = update(reply).where(reply.c.seq == bindparam("held")).values(state="held", error_code=bindparam("problem"))
_RELEASE_HELD = (
    update(reply)
    .where(
        reply.c.person_id == bindparam("person"),
        reply.c.channel == bindparam("of"),
        REPLY_UNSETTLED,
        reply.c.state == "held",
    )
    .values(state="pending", not_before=None)
)
_RELEASE_UNADDRESSED = (
    update(reply)
    .where(
        reply.c.person_id == bindparam("person"),
        REPLY_UNSETTLED,
        reply.c.state == "held",
        reply.c.error_code == NO_RECIPIENT,
    )
    .values(state="pending", error_code="")
)
_UNLEASED = (
    update(reply)
    .where(reply.c.id == bindparam("of"), reply.c.token == bindparam("lease"), reply.c.state == "leased")
    .values(state="pending", token="")
)
_GIVEN_BACK = (
    update(reply)
    .where(
        reply.c.channel == bindparam("of"),
        REPLY_ON_ITS_WAY,
        reply.c.state == "leased",
        reply.c.token.like(bindparam("theirs")),
        reply.c.id.not_in(bindparam("in_hand", expanding=True)),
    )
    .values(state="pending", token="")
)
_NEWEST = (
    select(reply)
    .where(reply.c.person_id == bindparam("person"), reply.c.seq < bindparam("before"))
    .order_by(reply.c.seq.desc())
    .limit(bindparam("limit", type_=Integer))
)
_NAMED_IN_TURN = (
    select(message.c.seq)
    .where(message.c.turn_id == bindparam("turn"), message_ids.is_named(message.c.message_id))
    .limit(1)
)
_PARTS_OF = select(reply_part).where(reply_part.c.reply_id.in_(bindparam("replies", expanding=True)))
_PAST_ALL = 2**63 - 1


def add_reply(
    tx: Tx,
    person_id: str,
    told: Reply,
    *,
    turn_id: str = "",
    answers: TurnMessage | None = None,
    channel: str,
    address: str,
    mode: ReplyMode,
    now: float,
) -> StoredReply:
    """Keep a reply: for the outbox, or for the caller who waits."""
    stored = StoredReply(new_id("rp", now), turn_id, answers.message_id if answers else "", now, told)
    inline = mode is ReplyMode.INLINE
    values = {
        "id": stored.id,
        "person_id": person_id,
        "turn_id": turn_id,
        "answers_seq": answers.seq if answers else None,
        "channel": channel,
        "address": address,
        "mode": mode.value,
        "state": "inline" if inline else "pending",
        "body": tx.cipher_of(person_id).seal_json(told, place(reply.c.body, stored.id)),
        "created_at": now,
        "settled_at": now if inline else None,
    }
    tx.execute(insert(reply), values)
    made_files.attach(tx, stored.id, told.media)
    return stored


def notify(tx: Tx, person_id: str, notice: Notice) -> str:
    """The person, or the one into whom they were merged meanwhile."""
    kept = add_reply(
        tx,
        surviving(tx, person_id, stays=True),
        notice.told,
        channel=notice.channel,
        address=notice.address,
        mode=ReplyMode.OUTBOX,
        now=notice.at,
    )
    return kept.id


def inline_replies(tx: Tx, asked: Row[Any]) -> list[StoredReply]:
    """What the caller who waits is told, in order: of messages that were given up together only the last is answered.

    `asked` is the row of `message`.
    """
    rows = tx.execute(_INLINE, {"turn": asked.turn_id}).all()
    answering = [row for row in rows if answered_seq(tx, row) == asked.seq]
    message_id = message_ids.opened(tx, asked) if answering else ""
    return [opened(tx, row, answers=message_id) for row in answering]


def answered_seq(tx: Tx, row: Row[Any]) -> int | None:
    """The number of the message that a row of `reply` answers; None: it is a notice, or the message is gone."""
    if row.answers_seq is not None or not row.answers_message_id:
        return cast("int | None", row.answers_seq)
    named = message_ids.named(tx, row.answers_message_id)  # a row of an earlier release
    return tx.execute(_NAMED_IN_TURN, {"turn": row.turn_id, **named}).scalar_one_or_none()


def lease(
    tx: Tx, channel: str, addresses: Sequence[str], *, instance: str, limit: int, seconds: float, now: float
) -> list[Lease]:
    token = _mark_of(instance) + secrets.token_urlsafe(18)
    values = {"channel": channel, "now": now, "limit": limit}
    due: Select[Any] = _LEASABLE
    if addresses:
        due, values["addresses"] = _LEASABLE_AT, list(addresses)
    rows = tx.execute(due, values).all()
    leases = {row.seq: one for row in rows if (one := _leased(tx, row, token, now + seconds))}
    if leases:
        tx.execute(_LEASE, {"seqs": list(leases), "lease": token, "until": now + seconds})
    return list(leases.values())


def _leased(tx: Tx, row: Row[Any], token: str, until: float) -> Lease | None:
    """The row as a lease; held if there is nobody to send it to or no key to open it."""
    try:
        user_id, answers = _recipient(tx, row)
        told = opened(tx, row, answers=answers)
    except Conflict as conflict:
        user_id, problem = "", conflict.reason.lower()
    else:
        problem = NO_RECIPIENT
    if not user_id:
        log.warning("reply %s is held: %s", row.id, problem)
        tx.execute(_HOLD, {"held": row.seq, "problem": problem})
        return None
    sent = list(tx.execute(_SENT_PARTS, {"reply": row.id}).scalars()) if row.parts else []
    return Lease(told, row.person_id, user_id, row.address, token, until, sent, row.parts, row.split_version)


def _recipient(tx: Tx, row: Row[Any]) -> tuple[str, str]:
    """The person's id in the channel, and that of the message that is answered; both may be empty."""
    wanted = {
        "person": row.person_id,
        "channel": row.channel,
        "address": row.address,
        "answered": answered_seq(tx, row),
    }
    found = tx.execute(_RECIPIENT, wanted).one_or_none()
    if found is None:
        return "", ""
    return alias_value(tx, found), message_ids.opened(tx, found) if found.message_id else ""


def release_held(tx: Tx, person_id: str, channel: str) -> None:
    """The person has written: what was held for them may go."""
    tx.execute(_RELEASE_HELD, {"person": person_id, "of": channel})


def release_unaddressed(tx: Tx, person_id: str) -> None:
    """The person has an id again: what was held for want of one may go."""
    tx.execute(_RELEASE_UNADDRESSED, {"person": person_id})


def unlease(tx: Tx, leases: Sequence[tuple[str, str]]) -> None:
    tx.execute(_UNLEASED, [{"of": reply_id, "lease": token} for reply_id, token in leases])


def give_back(tx: Tx, channel: str, instance: str, in_hand: Sequence[str]) -> int:
    theirs = {"of": channel, "theirs": f"{_mark_of(instance)}%", "in_hand": list(in_hand)}
    return tx.execute(_GIVEN_BACK, theirs).rowcount


def _mark_of(instance: str) -> str:
    """What the tokens of a process of a channel begin with: they tell whose they are in the next process of ours."""
    return hashlib.sha256(instance.encode()).hexdigest()[:16] + "."


def replies(tx: Tx, person_id: str, *, limit: int, before: str) -> tuple[list[ReplyView], str]:
    """Newest first. CallerError FIELD_INVALID: `before` is not a token of an earlier page."""
    page = {"person": person_id, "before": _seq_before(before), "limit": limit + 1}
    rows = tx.execute(_NEWEST, page).all()
    shown = rows[:limit]
    parts = {(part.reply_id, part.part): part for part in tx.execute(_PARTS_OF, {"replies": [row.id for row in shown]})}
    return [_view(row, parts) for row in shown], str(shown[-1].seq) if len(rows) > limit else ""


def _seq_before(token: str) -> int:
    seq = int(token or _PAST_ALL) if token.isascii() and (token.isdecimal() or not token) else -1
    if not 0 <= seq <= _PAST_ALL:
        raise CallerError("FIELD_INVALID", "page_token is none that this service gave", field="page_token")
    return seq


def _view(row: Row[Any], parts: dict[tuple[str, int], Row[Any]]) -> ReplyView:
    return ReplyView(
        row.id,
        row.turn_id,
        row.answers_seq,
        row.channel,
        row.state,
        [_part_view(number, parts.get((row.id, number))) for number in range(1, row.parts + 1)],
        row.created_at,
        row.settled_at,
        row.attempts,
        row.error_code,
    )


def _part_view(number: int, part: Row[Any] | None) -> PartView:
    if part is None:
        return PartView(number, sent=False, receipt="", error_code="")
    return PartView(number, part.sent_at is not None, part.receipt, part.error_code)


def opened(tx: Tx, row: Row[Any], *, answers: str = "") -> StoredReply:
    """What a row of `reply` holds, which answers the message with that id.

    Conflict SEALED_VALUE_DAMAGED, SEALING_KEY_UNKNOWN.
    """
    body = tx.cipher_of(row.person_id).open_json(row.body, place(reply.c.body, row.id))
    link = Link(**body.pop("link")) if body["link"] else body.pop("link")
    choices = tuple(ReplyChoice(**choice) for choice in body.pop("choices"))
    media = tuple(ReplyFile(**file) for file in body.pop("media", ()))
    told = Reply(**body, link=link, choices=choices, media=media)
    return StoredReply(row.id, row.turn_id, answers, row.created_at, told)
