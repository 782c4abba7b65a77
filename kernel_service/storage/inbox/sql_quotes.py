"""Finds a quoted message or reply of the person by the id that the channel's network gave it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from kernel_service.errors import Unreadable
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.quotes import Quoted
from kernel_service.storage.engine.units import SqlPort, reads
from kernel_service.storage.keys import damage, message_ids
from kernel_service.storage.outbox.replies import opened
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.outbox import reply, reply_part
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx

# By person first: SQLite would use the unique key by channel, and scan the messages of all people.
_RECEIVED = select(message.c.seq, message.c.payload, message.c.channel, message.c.address, message.c.accepted_at).where(
    message.c.person_id == bindparam("person"), message_ids.is_named(message.c.message_id)
)
# Two statements: for a join both databases scan all replies of the person.
_SENT_AS = select(reply_part.c.reply_id).where(message_ids.is_named(reply_part.c.channel_message_id))
_REPLY = select(reply).where(reply.c.id == bindparam("reply"))


class SqlQuotes(SqlPort):
    """Fills `QuoteStore`."""

    @reads
    def find(self, tx: Tx, person_id: str, channel: str, address: str, message_id: str) -> Quoted | None:
        named = message_ids.named(tx, message_id)
        for row in tx.execute(_RECEIVED, {"person": person_id, **named}).all():
            if (row.channel, row.address) == (channel, address):
                payload = damage.payload_of(tx, person_id, row.payload, place(message.c.payload, row.seq))
                return Quoted(payload, ours=False, at=row.accepted_at) if payload else None
        for reply_id in tx.execute(_SENT_AS, named).scalars().all():
            found = tx.execute(_REPLY, {"reply": reply_id}).one()
            if (found.person_id, found.channel, found.address) == (person_id, channel, address):
                text = _text_of(tx, found)
                return Quoted(Payload(Text(text)), ours=True, at=found.created_at) if text else None
        return None


def _text_of(tx: Tx, row: Row[Any]) -> str:
    try:
        return opened(tx, row).reply.text
    except Unreadable:
        return ""
