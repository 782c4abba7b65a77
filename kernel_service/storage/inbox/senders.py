"""Finds the sender of a message, and what its acceptance depends on, or the same message as it was accepted before.

For a known person with a new message one statement finds it all. A new person, a changed or expired id, ids of several
people and a repeated message need more statements.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, bindparam, func, or_, select

from kernel_service.errors import AlreadyExists
from kernel_service.people.identity import resolve
from kernel_service.ports.inbox import Accepted
from kernel_service.ports.messages import MessageStatus
from kernel_service.storage.deleting import forgotten_messages
from kernel_service.storage.keys import message_ids
from kernel_service.storage.outbox import replies
from kernel_service.storage.people import time_zones
from kernel_service.storage.people.people import FOUND_COLUMNS, found_among, given_in, person_of, whose
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.people import alias
from kernel_service.storage.schema.serials import NextMessageSeq

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row

    from kernel_service.ports.messages import Message
    from kernel_service.ports.weak_ids import WeakIdExpiry
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.people.people import GivenIds

MOST_IDS: Final = 3
"""How many ids one statement looks up. WhatsApp names a person by at most three."""

_ids = tuple(f"id_{number}" for number in range(MOST_IDS))
_person_of = attrgetter("person_id")
_same = and_(
    message.c.channel == bindparam("channel"),
    message.c.address == bindparam("address"),
    message_ids.is_named(message.c.message_id),
)
_next_seq = select(NextMessageSeq()).scalar_subquery().label("next_seq")


def _pending(person_id: ColumnElement[str]) -> ColumnElement[int]:
    waiting = select(func.count()).select_from(message).where(message.c.person_id == person_id, MESSAGE_OPEN)
    return waiting.correlate_except(message).scalar_subquery().label("pending")


_own = alias.alias("own")
# Joined from the ids, so that both databases use the index for each of them.
_repeats = (
    select(func.count(message.c.seq))
    .select_from(_own.outerjoin(message, and_(_same, message.c.user_digest == _own.c.digest)))
    .where(_own.c.person_id == kernel.c.person_id, _own.c.channel == bindparam("channel"))
    .correlate(kernel)
    .scalar_subquery()
)
# The row of `alias` is locked as in `FOUND`. If the lock waited for a merge, PostgreSQL applies the join to the changed
# row, and returns no row: everything else here is read as of before the merge.
_PLAINLY = (
    select(
        *FOUND_COLUMNS,
        kernel.c.stopped_at,
        kernel.c.owner,
        *time_zones.COLUMNS,
        _next_seq,
        _pending(kernel.c.person_id),
        or_(_repeats > 0, forgotten_messages.some_of_id()).label("repeats"),
        replies.holds(kernel.c.person_id).label("holds"),
    )
    .select_from(alias.join(kernel, kernel.c.person_id == alias.c.person_id))
    .where(alias.c.channel == bindparam("channel"), alias.c.digest.in_([bindparam(name) for name in _ids]))
    .with_for_update(read=True, of=alias)
)
_KNOWN = select(
    message.c.seq, message.c.person_id, message.c.payload_digest, message.c.status, message.c.turn_id
).where(_same, message.c.user_digest == bindparam("user_digest"))
# The person's waiting messages, and each message of this id under one of their ids: both come from small indexes.
_SO_FAR = (
    select(
        _next_seq,
        _pending(bindparam("person")),
        kernel.c.stopped_at,
        *time_zones.COLUMNS,
        message.c.seq,
        message.c.person_id,
        message.c.payload_digest,
        message.c.status,
        message.c.turn_id,
    )
    .select_from(
        alias.join(kernel, kernel.c.person_id == alias.c.person_id).outerjoin(
            message, and_(_same, message.c.user_digest == alias.c.digest)
        )
    )
    .where(alias.c.person_id == bindparam("person"), alias.c.channel == bindparam("channel"))
)


class Arrival(NamedTuple):
    """A message with its digests. `key` and `named` are the values of the columns by which it is found."""

    given: GivenIds
    key: dict[str, Any]
    named: dict[str, str]
    payload_digest: bytes


class Sender(NamedTuple):
    """A person, and what the acceptance of their message depends on. `holds`: replies to them may be held.

    `zones` has the columns of their time zone. `owner` is the node that owns their kernel; empty: none, or not known.
    """

    person_id: str
    next_seq: int
    pending: int
    stopped_at: float | None
    zones: Row[Any]
    holds: bool
    owner: str = ""


def arrival(tx: Tx, received: Message, payload: bytes) -> Arrival:
    """`payload` is the payload's JSON with sorted keys."""
    given = given_in(tx, received)
    key: dict[str, Any] = {"channel": received.channel, "address": received.address}
    for (_, digest), user_id in given.by_digest.items():
        if user_id == received.user_id:
            key["user_digest"] = digest
    named = message_ids.named(tx, received.message_id)
    return Arrival(given, key, named, tx.digests.payload(payload))


def find(tx: Tx, arrived: Arrival, now: float, weak_ids: WeakIdExpiry) -> Sender | Accepted:
    """The sender, created if they are new, whose ids are stored; or the same message as it was accepted before.

    Raises `Conflict` IDENTITY_CONFLICT, `AlreadyExists` MESSAGE_ID_REUSED.
    """
    return _plainly(tx, arrived, now, weak_ids) or _thoroughly(tx, arrived, now, weak_ids)


def _plainly(tx: Tx, arrived: Arrival, now: float, weak_ids: WeakIdExpiry) -> Sender | None:
    """The sender, if all given ids are theirs and stay as they are, and the message is new; otherwise None."""
    _, digests = zip(*arrived.given.by_digest, strict=True)
    if len(digests) > MOST_IDS:
        return None
    digests += digests[:1] * (MOST_IDS - len(digests))
    key = arrived.key
    rows = tx.execute(_PLAINLY, key | arrived.named | dict(zip(_ids, digests, strict=True)) | {"of": key["channel"]})
    if len(set(map(_person_of, rows))) != 1:
        return None
    row = rows[0]
    found = resolve(found_among(arrived.given.by_digest, rows, now, weak_ids), arrived.given.ids)
    if row.repeats or found.person_id is None or found.attach or found.move or found.used:
        return None
    return Sender(found.person_id, row.next_seq, row.pending, row.stopped_at, row, holds=row.holds, owner=row.owner)


def _thoroughly(tx: Tx, arrived: Arrival, now: float, weak_ids: WeakIdExpiry) -> Sender | Accepted:
    if forgotten_messages.is_repeat(tx, arrived.key, arrived.named, [digest for _, digest in arrived.given.by_digest]):
        return Accepted("", 0, duplicate=True, status=MessageStatus.STOPPED)
    known = tx.execute(_KNOWN, arrived.key | arrived.named).one_or_none()
    if known is not None:
        if whose(tx, arrived.given, now, weak_ids).person_id != known.person_id:
            raise _reused("this message id was used before by another person with the same user id")
        return _duplicate(known, arrived.payload_digest)
    person_id = person_of(tx, arrived.given, now, weak_ids)
    so_far = tx.execute(_SO_FAR, arrived.key | arrived.named | {"person": person_id}).all()
    same = (person_id, arrived.payload_digest)
    known = next((row for row in so_far if (row.person_id, row.payload_digest) == same), None)
    if known is not None:  # under another of their ids; a message with another payload is a different message
        return _duplicate(known, arrived.payload_digest)
    row = so_far[0]
    return Sender(person_id, row.next_seq, row.pending, row.stopped_at, row, holds=True)


def _duplicate(known: Row[Any], digest: bytes) -> Accepted:
    if known.payload_digest != digest:
        raise _reused("this message id was used before with another payload")
    status = MessageStatus(known.status)
    return Accepted(known.person_id, known.seq, duplicate=True, status=status, turn_id=known.turn_id or "")


def _reused(how: str) -> AlreadyExists:
    return AlreadyExists("MESSAGE_ID_REUSED", f"{how}; give each message its own")
