"""Files that tools made: stored with the message that they answer, then with the reply that carries them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select

from kernel_service.ports.media import CHUNK_BYTES, MediaState
from kernel_service.storage.engine.units import SqlPort, reads, writes, writes_apart
from kernel_service.storage.media.media import KEEP, keep_chunk, not_found
from kernel_service.storage.media.room import make_room
from kernel_service.storage.people.people import surviving
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.media import media

if TYPE_CHECKING:
    from kernel_service.ports.media import MediaQuota
    from kernel_service.ports.turns import TurnMessage
    from kernel_service.storage.engine.engine import Engine, Tx

_MADE: Final = ""
"""The `opening` of a file that no turn reads."""
# Locked: a deletion of the person deletes the chunk, too.
_WHOSE = (
    select(media.c.person_id).where(media.c.id == bindparam("of"), media.c.opening == _MADE).with_for_update(read=True)
)
_SENT_IN = select(media.c.chunks).where(
    media.c.id == bindparam("of"), media.c.channel == bindparam("of_channel"), media.c.reply_id != ""
)


class SqlMadeFiles(SqlPort):
    """Fills `MadeFileStore`. `quota` bounds the files that are kept."""

    def __init__(self, engine: Engine, quota: MediaQuota) -> None:
        super().__init__(engine)
        self._quota = quota

    @writes(in_order_of="person_id")
    def keep(self, tx: Tx, person_id: str, message: TurnMessage, size: int, *, now: float) -> str:
        # The reply holds its name and type.
        person_id = surviving(tx, person_id, stays=True)
        make_room(tx, person_id, size, self._quota, now=now)
        row = {
            "id": new_id("m", now),
            "person_id": person_id,
            "message_seq": message.seq,
            "channel": message.channel,
            "address": message.address,
            "state": MediaState.STORED.value,
            "opening": _MADE,
            "mime_type": "",
            "asked": b"",
            "created_at": now,
            "deadline": now,
            "problem": "",
            "size": size,
            "chunks": -(-size // CHUNK_BYTES),
        }
        tx.execute(KEEP, row)
        return str(row["id"])

    @writes_apart
    def add_chunk(self, tx: Tx, media_id: str, number: int, data: bytes) -> None:
        person_id = tx.execute(_WHOSE, {"of": media_id}).scalar_one_or_none()
        if person_id is None:
            raise not_found()
        keep_chunk(tx, person_id, media_id, number, data)

    @reads
    def chunks(self, tx: Tx, channel: str, media_id: str) -> int:
        count = tx.execute(_SENT_IN, {"of": media_id, "of_channel": channel}).scalar_one_or_none()
        if count is None:
            raise not_found()
        return int(count)
