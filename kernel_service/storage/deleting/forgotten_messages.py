"""The messages of deleted people, which a channel may deliver again: a repeat is not answered and creates no person.

A row has the digest of the message's id, by which each message that arrives is looked up, and a digest that binds it to
the sender. Both are keyed, and neither names the person or links two rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, exists, insert, select

from kernel_service.clock import DAY_SECONDS
from kernel_service.ports.deletion import REDELIVERY_DAYS
from kernel_service.storable import to_json
from kernel_service.storage.keys import message_ids
from kernel_service.storage.schema.inbox import NOBODY, forgotten_message, message
from kernel_service.storage.schema.people import PERSON_DELETED, person

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Row

    from kernel_service.storage.engine.engine import Tx

_OF_ID = select(forgotten_message.c.sender).where(forgotten_message.c.message_id == bindparam("id_digest"))
_KEEP = insert(forgotten_message)
_OLD = delete(forgotten_message).where(forgotten_message.c.until < bindparam("now"))
# The deletion of a person with many messages takes several transactions.
_BEING_DELETED = (
    select(message.c.seq)
    .join(person, person.c.id == message.c.person_id)
    .where(
        message.c.channel == bindparam("channel"),
        message.c.address == bindparam("address"),
        message.c.user_digest.in_(bindparam("senders", expanding=True)),
        message_ids.is_named(message.c.message_id),
        PERSON_DELETED,
    )
    .limit(1)
)
COLUMNS: Final = (message.c.channel, message.c.address, message.c.user_digest, message.c.message_id)
"""The columns of `message` that `keep` reads, besides `accepted_at`."""


def some_of_id() -> ColumnElement[bool]:
    """In a statement with `id_digest`: whether a message with that id is stored here, of any sender."""
    return exists().where(forgotten_message.c.message_id == bindparam("id_digest"))


def keep(tx: Tx, rows: Iterable[Row[Any]], now: float) -> None:
    """Store the digests of these rows of `message`, which are about to be deleted, if a channel may deliver them again.

    All get the same time, so that none reveals when the person wrote.
    """
    since, until = now - REDELIVERY_DAYS * DAY_SECONDS, now - now % DAY_SECONDS + (REDELIVERY_DAYS + 1) * DAY_SECONDS
    recent = [row for row in rows if row.accepted_at > since and row.user_digest != NOBODY]
    digests = {_digests(tx, row) for row in recent}
    known = {(named, sender) for named, _ in digests for sender in tx.execute(_OF_ID, {"id_digest": named}).scalars()}
    values = [{"message_id": named, "sender": sender, "until": until} for named, sender in sorted(digests - known)]
    if values:
        tx.execute(_KEEP, values)


def is_repeat(tx: Tx, key: dict[str, Any], named: dict[str, str], senders: Sequence[bytes]) -> bool:
    """Whether the message was sent by a deleted person. `senders`: the digests of all ids of its sender in it."""
    chat = {"channel": key["channel"], "address": key["address"]}
    known = set(tx.execute(_OF_ID, {"id_digest": named["id_digest"]}).scalars())
    if known and not known.isdisjoint(
        _sender(tx, key["channel"], key["address"], each, named["id_digest"]) for each in senders
    ):
        return True
    return tx.execute(_BEING_DELETED, chat | named | {"senders": list(senders)}).one_or_none() is not None


def forget_old(tx: Tx, now: float) -> int:
    return tx.execute(_OLD, {"now": now}).rowcount


def _digests(tx: Tx, row: Row[Any]) -> tuple[str, bytes]:
    stored = str(row.message_id)
    named = tx.digests.message_id(stored) if message_ids.in_clear(stored) else stored
    return named, _sender(tx, row.channel, row.address, row.user_digest, named)


def _sender(tx: Tx, channel: str, address: str, user_digest: bytes, id_digest: str) -> bytes:
    return tx.digests.payload(to_json(["forgotten", channel, address, user_digest.hex(), id_digest]))
