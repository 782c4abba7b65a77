"""A database that an earlier release has filled, and that was just migrated: message ids are in clear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select, text, update

from kernel_service.storage.keys import message_ids
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.outbox import reply_part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_service.storage.engine.engine import Tx

_PARTS: Final = update(reply_part).where(reply_part.c.channel_message_id == bindparam("digest"))
_IDS: Final = update(message).where(message.c.seq == bindparam("of"))
_STATEMENTS: Final = (
    "UPDATE reply SET answers_message_id = message.message_id FROM message WHERE message.seq = reply.answers_seq",
    "UPDATE dead_letter SET message_id = message.message_id FROM message WHERE message.seq = dead_letter.message_seq",
    "UPDATE reply SET answers_seq = NULL",
    "UPDATE message SET sealed_id = NULL",
    "INSERT INTO backfill SELECT 'message', 0 UNION ALL SELECT 'reply', 0 UNION ALL SELECT 'vacuum', 0",
)


def age(tx: Tx, sent: Iterable[str] = ()) -> None:
    """`sent` are the ids under which parts were sent. Only their digests are stored, which do not reveal them."""
    for row in tx.execute(select(message)).all():
        tx.execute(_IDS.values(message_id=message_ids.opened(tx, row)), {"of": row.seq})
    for message_id in sent:
        tx.execute(_PARTS.values(channel_message_id=message_id), {"digest": tx.digests.message_id(message_id)})
    for statement in _STATEMENTS:
        tx.execute(text(statement))
