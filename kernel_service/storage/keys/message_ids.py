"""The ids that channels give to messages. They may hold a phone number: WhatsApp's do, in base64.

A message is found by the keyed digest of its id. The id itself is sealed with the person's key, next to the digest,
since replies to the channel contain it. A sent part is only looked up, so only the digest of its id is stored. Rows of
an earlier release hold ids in clear until `clear_ids` has sealed them; until then lookups match both forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam

from kernel_service.errors import Unreadable
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.sealing.ciphers import DIGEST_MARK, place

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row

    from kernel_service.storage.engine.engine import Tx


def in_clear(stored: str) -> bool:
    """Whether a row holds an id in clear."""
    return bool(stored) and not stored.startswith(DIGEST_MARK)


def is_named(column: ColumnElement[str]) -> ColumnElement[bool]:
    """In a statement: the row has the id for which `named` gives the values."""
    return column.in_((bindparam("id_digest"), bindparam("id_in_clear")))


def named(tx: Tx, message_id: str) -> dict[str, str]:
    """The id in all forms that rows may hold. Once no row is in clear, no form is."""
    digest = tx.digests.message_id(message_id)
    return {"id_digest": digest, "id_in_clear": message_id if tx.digests.some_in_clear else digest}


def opened(tx: Tx, row: Row[Any]) -> str:
    """The id of a row of `message`; empty: it can no longer be read. Raises `SealingKeyUnknown`."""
    if row.sealed_id is None:
        return str(row.message_id)
    cipher = tx.cipher_of(row.person_id)
    try:
        return cipher.open_text(row.sealed_id, place(message.c.sealed_id, row.seq))
    except Unreadable:
        return ""
