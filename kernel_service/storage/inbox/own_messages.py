"""Messages that the service itself puts into a person's inbox: runs of schedules, events of triggers.

Order, retries, budgets, "stop", approvals and the outbox treat them as they treat a person's messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Float, bindparam, exists, func, insert, select

from kernel_service.ports.commands import UNPROMPTED
from kernel_service.ports.messages import MessageStatus, ReplyMode
from kernel_service.ports.payloads import Payload
from kernel_service.storable import to_json
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, NOBODY, message
from kernel_service.storage.schema.payloads import to_stored
from kernel_service.storage.schema.serials import NextMessageSeq
from kernel_service.storage.schema.transitions import is_one_of
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from kernel_service.ports.commands import Command
    from kernel_service.ports.payloads import Content
    from kernel_service.storage.engine.engine import Tx

RECENT_SECONDS: Final = 60.0
"""An older unanswered message is not counted: it may wait for something that others do not need."""

_WAITING = (
    select(func.count())
    .select_from(message)
    .where(
        MESSAGE_OPEN,
        message.c.status == MessageStatus.ACCEPTED.value,
        is_one_of(message.c.command, UNPROMPTED),
        message.c.accepted_at > bindparam("since", type_=Float),
    )
)
_KNOWN_OR_NEXT = select(
    NextMessageSeq().label("next_seq"),
    exists()
    .where(
        message.c.channel == bindparam("channel"),
        message.c.address == bindparam("address"),
        message.c.user_digest == NOBODY,
        message.c.message_id == bindparam("id_digest"),
    )
    .label("is_known"),
)
_KEEP = insert(message)


def waiting(tx: Tx, now: float) -> int:
    """How many of these messages are being answered, or wait for that."""
    return int(tx.execute(_WAITING, {"since": now - RECENT_SECONDS}).scalar_one())


def put(
    tx: Tx,
    person_id: str,
    *,
    channel: str,
    address: str,
    message_id: str,
    content: Content,
    command: Command,
    now: float,
) -> int | None:
    """The number of the new message; None: this `message_id` was put into this chat before.

    The caller holds a lock that keeps others from putting the same id, as that on the row of the schedule. The replies
    carry no message id to the channel, since the id is not the channel's.
    """
    key = {"channel": channel, "address": address, "id_digest": tx.digests.message_id(message_id)}
    row = tx.execute(_KNOWN_OR_NEXT, key).one()
    if row.is_known:
        return None
    seq, cipher = row.next_seq, tx.cipher_of(person_id)
    stored = to_json(to_stored(Payload(content)), sort_keys=True)
    tx.execute(
        _KEEP,
        {
            "seq": seq,
            "person_id": person_id,
            "channel": channel,
            "address": address,
            "user_digest": NOBODY,
            "message_id": key["id_digest"],
            "sealed_id": cipher.seal_text("", place(message.c.sealed_id, seq)),
            "payload_digest": tx.digests.payload(stored),
            "reply_mode": ReplyMode.OUTBOX.value,
            "payload": cipher.seal(stored, place(message.c.payload, seq)),
            "accepted_at": now,
            "sent_at": now,
            "status": MessageStatus.ACCEPTED.value,
            "command": command.value,
            "alone": True,
            "waits_until": None,
        },
    )
    return int(seq)
