"""The messages of a person, their turns and history, and the replies."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from kernel_service.ports.admin import DeadLetter
from kernel_service.ports.exporting import Exported, ExportedDeadLetter, ExportedItem, ExportedMessage, ExportedReply
from kernel_service.ports.messages import MessageStatus, ReplyMode
from kernel_service.storable import from_json, to_json
from kernel_service.storage.admin.sql_admin import TURN_COLUMNS, summaries, views
from kernel_service.storage.exporting.opening import Opening
from kernel_service.storage.exporting.source import each, source
from kernel_service.storage.keys import message_ids
from kernel_service.storage.outbox import replies
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.outbox import reply, reply_part
from kernel_service.storage.schema.payloads import from_stored
from kernel_service.storage.schema.turns import dead_letter, item, turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx

_SEALED_BY_VENDOR: Final = "encrypted_content"
"""Reasoning and compactions, which only the vendor can read."""


def _message(opening: Opening, row: Row[Any]) -> ExportedMessage:
    in_clear = row.sealed_id is None and message_ids.in_clear(row.message_id)  # a row of an earlier release
    return ExportedMessage(
        row.seq,
        row.message_id if in_clear else opening.text(message.c.sealed_id, "message_id"),
        row.channel,
        row.address,
        MessageStatus(row.status),
        row.turn_id or "",
        row.accepted_at,
        row.sent_at,
        row.command,
        ReplyMode(row.reply_mode),
        opening.json(message.c.payload, "payload", from_stored),
    )


def _turns(tx: Tx, rows: Sequence[Row[Any]]) -> Iterable[Exported]:
    return map(Exported, summaries(tx, rows))


def _item(opening: Opening, row: Row[Any]) -> ExportedItem:
    def shown(plain: bytes) -> str:
        data = dict(from_json(plain))
        data.pop(_SEALED_BY_VENDOR, None)
        if row.kind == "link":
            data.pop("url", None)
        return to_json(data).decode()

    return ExportedItem(
        row.seq,
        row.turn_id,
        row.kind,
        row.origin,
        row.created_at,
        row.superseded,
        opening.read(item.c.data, "data_json", shown) or "",
    )


def _replies(tx: Tx, rows: Sequence[Row[Any]]) -> Iterable[Exported]:
    for row, view in zip(rows, views(tx, rows), strict=True):
        opening = Opening(tx, row)
        stored = opening.whole(partial(replies.opened, tx, row), "reply")
        yield opening.exported(ExportedReply(view, row.address, stored))


def _dead_letter(_: Opening, row: Row[Any]) -> ExportedDeadLetter:
    letter = DeadLetter(row.id, row.person_id, row.message_seq, row.problem, row.dead_at)
    return ExportedDeadLetter(letter, row.requeued_at)


MESSAGES: Final = source(message, message.c.seq, records=each(_message))
TURNS: Final = source(turn, turn.c.id, records=_turns, selected=select(*TURN_COLUMNS))
ITEMS: Final = source(item, item.c.seq, records=each(_item))
REPLIES: Final = source(reply, reply.c.seq, records=_replies, also=(reply_part,))
DEAD_LETTERS: Final = source(dead_letter, dead_letter.c.id, records=each(_dead_letter))
