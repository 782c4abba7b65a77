"""The inbox: each message is stored once, with its status."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Float, Integer, bindparam, case, func, insert, not_, or_, select, true, union_all, update
from sqlalchemy.sql import exists

from kernel_service.errors import Exhausted, NotFound
from kernel_service.media.incoming import split_file
from kernel_service.ports.commands import NOT_STOPPED, Command
from kernel_service.ports.inbox import Accepted
from kernel_service.ports.media import WAIT_SECONDS
from kernel_service.ports.messages import Answer, MessageStatus, ReplyMode, Usage
from kernel_service.ports.payloads import File, Opened, Payload, Text
from kernel_service.ports.states.message import ENDED
from kernel_service.ports.turns import TurnMessage
from kernel_service.storable import from_json, storable_text, to_json
from kernel_service.storage.approvals import approvals
from kernel_service.storage.connections import parked_requests
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.inbox import needs, senders, sent_order
from kernel_service.storage.inbox.recognising import recognise
from kernel_service.storage.media import media, room
from kernel_service.storage.outbox import replies
from kernel_service.storage.people import leases, time_zones
from kernel_service.storage.people.people import SURVIVOR
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.payloads import from_stored, to_stored
from kernel_service.storage.schema.transitions import is_one_of
from kernel_service.storage.schema.turns import TURN_OPEN, TURN_USAGE, turn
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.ports.media import MediaQuota
    from kernel_service.ports.messages import Message
    from kernel_service.ports.payloads import Content
    from kernel_service.ports.progress import Need
    from kernel_service.ports.weak_ids import WeakIdExpiry
    from kernel_service.storage.engine.engine import Engine, Tx

_NEVER_LATE = (Command.STOP, Command.NEW_CHAT)
"""A "stop" that was sent later but arrived earlier does not cancel these."""
_ENDED = frozenset({MessageStatus.COMPLETED, MessageStatus.DEAD_LETTERED, MessageStatus.STOPPED})
_KEEP = insert(message)
_ANSWER = (
    select(
        message.c.seq,
        message.c.person_id,
        message.c.status,
        message.c.reply_mode,
        message.c.message_id,
        message.c.sealed_id,
        message.c.turn_id,
        *TURN_USAGE,
    )
    .select_from(message.outerjoin(turn, turn.c.id == message.c.turn_id))
    .where(message.c.seq == bindparam("seq"), message.c.person_id == SURVIVOR)
)
_OPEN_AMONG = select(message.c.seq).where(
    message.c.seq.in_(bindparam("seqs", expanding=True)), not_(is_one_of(message.c.status, ENDED))
)
_TAKE_BACK = (
    update(message)
    .where(
        message.c.person_id == bindparam("person"),
        MESSAGE_OPEN,
        message.c.turn_id.is_(None),
        message.c.seq < bindparam("before"),
        message.c.sent_at < bindparam("after"),
        not_(is_one_of(message.c.command, NOT_STOPPED)),
    )
    .values(status=MessageStatus.STOPPED.value)
    .returning(message.c.seq)
)
_sent_before = exists().where(
    message.c.turn_id == turn.c.id, message.c.sent_at < bindparam("after"), message.c.command != Command.REMINDER.value
)
_STOP = (
    update(turn)
    .where(turn.c.person_id == bindparam("person"), TURN_OPEN, _sent_before)
    .values(stopped=true())
    .returning(turn.c.id, turn.c.closed)
)
_LEAVE_TO_THE_NEXT = (
    update(message)
    .where(message.c.turn_id == bindparam("of"), MESSAGE_OPEN, message.c.sent_at >= bindparam("after"))
    .values(turn_id=None, status=MessageStatus.ACCEPTED.value)
)
_at = bindparam("at", type_=Float)
_STOPPED_AT = (
    update(kernel)
    .where(kernel.c.person_id == bindparam("person"))
    .values(stopped_at=case((kernel.c.stopped_at > _at, kernel.c.stopped_at), else_=_at))
)
_LAST_ROUTE = (
    select(message.c.channel, message.c.address)
    .where(message.c.person_id == SURVIVOR)
    .order_by(message.c.seq.desc())
    .limit(1)
)
_HELD_BACK = exists().where(turn.c.person_id == message.c.person_id, TURN_OPEN, turn.c.not_before > bindparam("now"))
_runnable = union_all(
    select(message.c.person_id, message.c.accepted_at.label("since")).where(
        MESSAGE_OPEN, message.c.turn_id.is_(None), not_(_HELD_BACK)
    ),
    select(turn.c.person_id, func.coalesce(turn.c.not_before, turn.c.started_at)).where(
        TURN_OPEN, or_(turn.c.not_before.is_(None), turn.c.not_before <= bindparam("now"), turn.c.stopped)
    ),
).subquery()
_DUE = (
    select(_runnable.c.person_id, kernel.c.owner)
    .select_from(_runnable.join(kernel, kernel.c.person_id == _runnable.c.person_id))
    .where(or_(kernel.c.owner == bindparam("by"), not_(leases.HELD)))
    .group_by(_runnable.c.person_id, kernel.c.owner)
    .order_by(func.min(_runnable.c.since))
    .limit(bindparam("limit", type_=Integer))
)


def _everyone(_: str) -> bool:
    return True


class SqlInbox(SqlPort):
    """Fills `InboxStore`. `quota` bounds the stored files; an id expired under `weak_ids` matches no person."""

    def __init__(self, engine: Engine, quota: MediaQuota, weak_ids: WeakIdExpiry) -> None:
        super().__init__(engine)
        self._quota = quota
        self._weak_ids = weak_ids

    # The person is not known yet. Messages of one id still commit in the order in which they arrive.
    @writes(in_order_of="received.user_id")
    def accept(self, tx: Tx, received: Message, *, now: float, max_pending: int) -> Accepted:
        stored = to_json(to_stored(received.payload), sort_keys=True)
        arrived = senders.arrival(tx, received, stored)
        sender = senders.find(tx, arrived, now, self._weak_ids)
        if isinstance(sender, Accepted):
            return sender
        person_id, seq = sender.person_id, sender.next_seq
        command, code = recognise(tx, person_id, received.payload)
        if sender.pending >= max_pending and command is not Command.STOP:  # a "stop" makes room
            raise Exhausted("TOO_MANY_PENDING", "too many messages of this person are waiting; try again later")
        sent_at, status = _sent(received, command, sender.stopped_at, now)
        payload, file, media_id = received.payload, None, ""
        if isinstance(payload.content, File):
            payload, file = split_file(payload, locked=received.locked_file)
        if file is not None:
            media_id = new_id("m", now)
            room.make_room(tx, person_id, len(file.data), self._quota, now=now)
            payload = payload.with_media_id(media_id)
        if code:
            payload = replace(payload, code=code)
        if command is Command.OPENED:
            payload = replace(payload, content=Opened(released=sender.holds))
        if payload is not received.payload:
            stored = to_json(to_stored(payload), sort_keys=True)
        cipher = tx.cipher_of(person_id)
        row = arrived.key | {
            "seq": seq,
            "person_id": person_id,
            "message_id": arrived.named["id_digest"],
            "sealed_id": cipher.seal_text(received.message_id, place(message.c.sealed_id, seq)),
            "payload_digest": arrived.payload_digest,
            "reply_mode": received.reply_mode.value,
            "payload": cipher.seal(stored, place(message.c.payload, seq)),
            "accepted_at": now,
            "sent_at": sent_at,
            "status": status.value,
            "command": command.value,
            "alone": command is not Command.NONE,
            "waits_until": now + WAIT_SECONDS if file is not None and file.wanted else None,
        }
        tx.execute(_KEEP, row)
        if file is not None:
            media.keep(tx, person_id, seq, received, file, media_id=media_id, now=now)
        withdrawn = _stop(tx, person_id, seq, sent_at, now) if command is Command.STOP else ()
        zone = received.time_zone
        has_moved = bool(zone) and time_zones.note(tx, person_id, sender.zones, zone)
        if sender.holds:
            replies.release_held(tx, person_id, received.channel)
        return Accepted(
            person_id,
            seq,
            duplicate=False,
            status=status,
            command=command,
            withdrawn=withdrawn,
            wants_media=file is not None and file.wanted,
            has_moved=has_moved,
            plain=_plain(received, seq, stored, sent_at, now) if command is Command.NONE and file is None else None,
            owner=sender.owner,
        )

    @reads
    def answer_of(self, tx: Tx, person_id: str, seq: int) -> Answer:
        row = tx.execute(_ANSWER, {"person": person_id, "seq": seq}).one_or_none()
        if row is None:
            raise NotFound("PERSON_NOT_FOUND", "the person was deleted before the message was answered")
        status, mode, turn_id = MessageStatus(row.status), ReplyMode(row.reply_mode), row.turn_id
        if turn_id is None:
            return Answer("", status, duplicate=False)
        is_inline = mode is ReplyMode.INLINE and status in _ENDED
        inline = replies.inline_replies(tx, row) if is_inline else []
        return Answer(turn_id, status, duplicate=False, replies=tuple(inline), usage=Usage(*row[-len(TURN_USAGE) :]))

    @reads
    def ended_among(self, tx: Tx, seqs: Sequence[int]) -> list[int]:
        going_on = set(tx.execute(_OPEN_AMONG, {"seqs": list(seqs)}).scalars())
        return [seq for seq in seqs if seq not in going_on]

    @reads
    def needs_of(self, tx: Tx, person_id: str, turn_id: str) -> list[Need]:
        return needs.of_turn(tx, person_id, turn_id)

    @reads
    def last_route(self, tx: Tx, person_id: str) -> tuple[str, str] | None:
        row = tx.execute(_LAST_ROUTE, {"person": person_id}).one_or_none()
        return None if row is None else (row.channel, row.address)

    @reads
    def due_people(
        self, tx: Tx, *, now: float, limit: int, owner: str = "", adopts: Callable[[str], bool] = _everyone
    ) -> list[str]:
        rows = tx.execute(_DUE, {"by": owner, "now": now, "limit": limit})
        return [row.person_id for row in rows if row.owner == owner or adopts(row.person_id)]


def _plain(received: Message, seq: int, stored: bytes, sent_at: float, now: float) -> TurnMessage:
    """The message as a turn reads it from the store."""
    payload = received.payload
    if payload != Payload(payload.content, sent_at_ns=payload.sent_at_ns) or not _is_stored_as_given(payload.content):
        payload = from_stored(from_json(stored))
    return TurnMessage(
        seq,
        received.message_id,
        received.channel,
        received.address,
        payload,
        now,
        received.reply_mode,
        sent_at=sent_at,
    )


def _is_stored_as_given(content: Content) -> bool:
    return isinstance(content, Text) and storable_text(content.text) == content.text


def _sent(received: Message, command: Command, stopped_at: float | None, now: float) -> tuple[float, MessageStatus]:
    """The effective send time, and the status. STOPPED: it arrived late, after a "stop" that was sent later."""
    said = received.payload.sent_at
    sent_at = sent_order.believed(said, now)
    if stopped_at is None and command is not Command.STOP:
        return sent_at, MessageStatus.ACCEPTED
    if not sent_order.is_believed(said, now):
        # No waiting message is known to be sent after such a "stop".
        return now if command is Command.STOP else sent_at, MessageStatus.ACCEPTED
    withdrawn = stopped_at is not None and sent_order.surely_before(sent_at, stopped_at)
    return sent_at, MessageStatus.STOPPED if withdrawn and command not in _NEVER_LATE else MessageStatus.ACCEPTED


def _stop(tx: Tx, person_id: str, seq: int, sent_at: float, now: float) -> tuple[int, ...]:
    """Cancel the waiting messages and interrupt the running turn. Returns the seqs of the cancelled messages.

    A late "stop" does not affect messages that were certainly sent after it.
    """
    stopped = {"person": person_id, "after": sent_at + sent_order.GRAIN_SECONDS}
    # First, since it waits for an opening turn, which has locked the lease. The later statements see that turn.
    tx.execute(_STOPPED_AT, {"person": person_id, "at": sent_at})
    for row in tx.execute(_STOP, stopped).all():
        if not row.closed:  # otherwise a side effect may be done already, and would be repeated
            tx.execute(_LEAVE_TO_THE_NEXT, {"of": row.id, "after": stopped["after"]})
    parked_requests.withdraw(tx, person_id, now)
    approvals.withdraw(tx, person_id, now)
    return tuple(tx.execute(_TAKE_BACK, stopped | {"before": seq}).scalars())
