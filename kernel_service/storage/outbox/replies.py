"""Replies and notices: stored here, leased to a channel in each person's order, and shown to operators.

A reply is pending, leased, in_doubt (it is unknown whether it was sent), sent, failed, held (the person cannot be
reached now) or inline (the caller of HandleMessage delivers it). Outcomes of leases are in delivery.py and doubt.py.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from sqlalchemy import and_, bindparam, exists, insert, select, update

from kernel_service.errors import Unreadable
from kernel_service.ports.messages import Link, Reply, ReplyChoice, ReplyFile, ReplyMode, StoredReply
from kernel_service.ports.outbox import Lease
from kernel_service.ports.states.reply import REPLACED, WRITTEN_AGAIN, ReplyState
from kernel_service.storage.keys import message_ids
from kernel_service.storage.media import made_files
from kernel_service.storage.outbox import recipients
from kernel_service.storage.people.people import alias_value, surviving
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.outbox import REPLY_UNSETTLED, reply
from kernel_service.storage.schema.transitions import may_take
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row

    from kernel_service.ports.messages import Notice
    from kernel_service.ports.outbox import LeaseOffer
    from kernel_service.ports.turns import TurnMessage
    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

NO_RECIPIENT = "no_recipient"
_UNLEASED: Final = {ReplyMode.INLINE: ReplyState.INLINE, ReplyMode.OUTBOX: ReplyState.PENDING}

_INLINE = (
    select(reply)
    .where(reply.c.turn_id == bindparam("turn"), reply.c.state == ReplyState.INLINE.value)
    .order_by(reply.c.seq)
)


_held = and_(reply.c.channel == bindparam("of"), REPLY_UNSETTLED, may_take(reply.c.state, WRITTEN_AGAIN))
_RELEASE_HELD = (
    update(reply)
    .where(reply.c.person_id == bindparam("person"), _held)
    .values(state=WRITTEN_AGAIN.target.value, not_before=None)
)
_DROP_HELD = (
    update(reply)
    .where(
        reply.c.person_id == bindparam("person"),
        REPLY_UNSETTLED,
        may_take(reply.c.state, REPLACED),
        reply.c.subject == bindparam("about"),
    )
    .values(state=REPLACED.target.value, settled_at=bindparam("at"), error_code="replaced")
)
_RELEASE_UNADDRESSED = (
    update(reply)
    .where(
        reply.c.person_id == bindparam("person"),
        REPLY_UNSETTLED,
        may_take(reply.c.state, WRITTEN_AGAIN),
        reply.c.error_code == NO_RECIPIENT,
    )
    .values(state=WRITTEN_AGAIN.target.value, error_code="")
)
_NAMED_IN_TURN = (
    select(message.c.seq)
    .where(message.c.turn_id == bindparam("turn"), message_ids.is_named(message.c.message_id))
    .limit(1)
)


_ADD = insert(reply)


class AddedReply(NamedTuple):
    """`lease`: it was leased under the offer. `is_pending`: a stream must lease it."""

    stored: StoredReply
    lease: Lease | None
    is_pending: bool


def add_reply(
    tx: Tx,
    person_id: str,
    content: Reply,
    *,
    turn_id: str = "",
    answers: TurnMessage | None = None,
    channel: str,
    address: str,
    mode: ReplyMode,
    offer: LeaseOffer | None = None,
    subject: str = "",
    is_held: bool = False,
    now: float,
) -> AddedReply:
    """Store a reply: for the waiting caller, leased under the offer if nothing delays it, or pending.

    It replaces a held reply about the same `subject`. `is_held`: it waits until the person writes.
    """
    if subject:
        drop_held(tx, person_id, subject, now)
    stored = StoredReply(new_id("rp", now), turn_id, answers.message_id if answers else "", now, content)
    seq = answers.seq if answers else None
    lease = None
    if offer is not None and mode is ReplyMode.OUTBOX:
        lease = _leased_at_once(tx, stored, person_id, channel, address, seq, offer)
    state = ReplyState.LEASED if lease else ReplyState.HELD if is_held else _UNLEASED[mode]
    values = {
        "id": stored.id,
        "person_id": person_id,
        "turn_id": turn_id,
        "answers_seq": seq,
        "channel": channel,
        "address": address,
        "mode": mode.value,
        "state": state.value,
        "body": tx.cipher_of(person_id).seal_json(content, place(reply.c.body, stored.id)),
        "created_at": now,
        "settled_at": now if state is ReplyState.INLINE else None,
        "token": lease.token if lease else "",
        "leased_until": lease.expires_at if lease else None,
        "attempts": 1 if lease else 0,
        "subject": subject,
    }
    tx.execute(_ADD, values)
    if content.media:
        made_files.attach(tx, stored.id, content.media)
    return AddedReply(stored, lease, state is ReplyState.PENDING)


def drop_held(tx: Tx, person_id: str, subject: str, now: float) -> None:
    """Drop the held replies about this subject."""
    tx.execute(_DROP_HELD, {"person": person_id, "about": subject, "at": now})


def _leased_at_once(  # noqa: PLR0917 - the columns of the lease
    tx: Tx, stored: StoredReply, person_id: str, channel: str, address: str, answered: int | None, offer: LeaseOffer
) -> Lease | None:
    """None: an earlier reply delays it, it has no recipient that can be read, or the stream may not lease.

    A stream's poll decides then.
    """
    found = recipients.recipient_at_once(tx, person_id, channel, address, answered, offer.puller)
    if found is None:
        return None
    try:
        user_id = alias_value(tx, found)
    except Unreadable:
        return None
    until = stored.created_at + offer.seconds
    return Lease(stored, person_id, user_id, address, offer.token, until, [], 0, "")


def notify(tx: Tx, person_id: str, notice: Notice) -> str:
    """The person, or the one into whom they were merged meanwhile."""
    kept = add_reply(
        tx,
        surviving(tx, person_id, stays=True),
        notice.reply,
        channel=notice.channel,
        address=notice.address,
        mode=ReplyMode.OUTBOX,
        now=notice.at,
    )
    return kept.stored.id


def inline_replies(tx: Tx, row: Row[Any]) -> list[StoredReply]:
    """The replies for the waiting caller, in order. Of messages that were given up together only the last is answered.

    `row`: the row of `message`.
    """
    rows = tx.execute(_INLINE, {"turn": row.turn_id}).all()
    answering = [each for each in rows if answered_seq(tx, each) == row.seq]
    message_id = message_ids.opened(tx, row) if answering else ""
    return [opened(tx, each, answers=message_id) for each in answering]


def answered_seq(tx: Tx, row: Row[Any]) -> int | None:
    """The number of the message that a row of `reply` answers; None: it is a notice, or the message was deleted."""
    if row.answers_seq is not None or not row.answers_message_id:
        return cast("int | None", row.answers_seq)
    named = message_ids.named(tx, row.answers_message_id)  # a row of an earlier release
    return tx.execute(_NAMED_IN_TURN, {"turn": row.turn_id, **named}).scalar_one_or_none()


def holds(person_id: ColumnElement[str]) -> ColumnElement[bool]:
    """In a statement: whether `release_held` would release a reply to the person in the channel `of`."""
    return exists().where(reply.c.person_id == person_id, _held)


def release_held(tx: Tx, person_id: str, channel: str) -> None:
    """Release the held replies of a person who has written again."""
    tx.execute(_RELEASE_HELD, {"person": person_id, "of": channel})


def release_unaddressed(tx: Tx, person_id: str) -> None:
    """The person has an id again: release the replies that were held without one."""
    tx.execute(_RELEASE_UNADDRESSED, {"person": person_id})


def opened(tx: Tx, row: Row[Any], *, answers: str = "") -> StoredReply:
    """The content of a row of `reply`, which answers the message with that id.

    Raises `Unreadable`.
    """
    body = tx.cipher_of(row.person_id).open_json(row.body, place(reply.c.body, row.id))
    link = Link(**body.pop("link")) if body["link"] else body.pop("link")
    choices = tuple(ReplyChoice(**choice) for choice in body.pop("choices"))
    media = tuple(ReplyFile(**file) for file in body.pop("media", ()))
    content = Reply(**body, link=link, choices=choices, media=media)
    return StoredReply(row.id, row.turn_id, answers, row.created_at, content)
