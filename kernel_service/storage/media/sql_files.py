"""Stored files, as turns read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from kernel_service.ports.media import (
    FileProblem,
    MediaState,
    ReadAs,
    StoredFile,
)
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.media.media import mark_failed, not_found
from kernel_service.storage.people.people import staying
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.media import media, media_chunk
from kernel_service.storage.sealing.ciphers import place
from kernel_service.storage.usage.reservations import pay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.ports.messages import Usage
    from kernel_service.storage.engine.engine import Tx

_ONE = select(media).where(media.c.id == bindparam("of"))
_SOME = select(media).where(media.c.id.in_(bindparam("wanted", expanding=True)))
_OWNER = select(message.c.person_id).where(message.c.seq == bindparam("of"))
_CHUNK = (
    select(media_chunk.c.data, media.c.person_id)
    .select_from(media_chunk.join(media, media.c.id == media_chunk.c.media_id))
    .where(media_chunk.c.media_id == bindparam("of"), media_chunk.c.number == bindparam("number"))
)
_KEEP_TRANSCRIPT = update(media).where(media.c.id == bindparam("of")).values(transcript=bindparam("text"))


class SqlFiles(SqlPort):
    """Fills `FileStore`."""

    @reads
    def find(self, tx: Tx, media_ids: Sequence[str]) -> dict[str, StoredFile]:
        rows = tx.execute(_SOME, {"wanted": list(media_ids)}).all() if media_ids else []
        return {row.id: _file(tx, row) for row in rows}

    @reads
    def chunk(self, tx: Tx, media_id: str, number: int) -> bytes:
        row = tx.execute(_CHUNK, {"of": media_id, "number": number}).one_or_none()
        if row is None:
            raise not_found()
        return tx.cipher_of(row.person_id).open(row.data, place(media_chunk.c.data, media_id, number))

    @writes()
    def keep_transcript(
        self, tx: Tx, media_id: str, text: str, usage: Usage, *, settles: Sequence[str] = (), now: float
    ) -> None:
        row = tx.execute(_ONE, {"of": media_id}).one_or_none()
        if row is None:
            raise not_found()
        owner = tx.execute(_OWNER, {"of": row.message_seq}).scalar_one_or_none()
        if owner is None or staying(tx, owner) is None:  # deleted, with their person
            raise not_found()
        sealed = tx.cipher_of(row.person_id).seal_text(text, place(media.c.transcript, media_id))
        tx.execute(_KEEP_TRANSCRIPT, {"of": media_id, "text": sealed})
        pay(tx, owner, usage, settles, now)

    @writes()
    def note_problem(self, tx: Tx, media_id: str, problem: FileProblem) -> None:
        mark_failed(tx, media_id, problem)


def _file(tx: Tx, row: Row[Any]) -> StoredFile:
    transcript = row.transcript
    if transcript is not None:
        transcript = tx.cipher_of(row.person_id).open_text(transcript, place(media.c.transcript, row.id))
    return StoredFile(
        id=row.id,
        state=MediaState(row.state),
        read_as=ReadAs(row.opening),
        mime_type=row.mime_type,
        size=row.size,
        chunks=row.chunks,
        problem=FileProblem(row.problem),
        transcript=transcript,
    )
