"""The files that are stored for a person. Those of a merged person keep that person's key."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, or_, select

from kernel_service.errors import Unreadable
from kernel_service.ports.exporting import ExportedFile
from kernel_service.storage.exporting.opening import Opening
from kernel_service.storage.exporting.source import source
from kernel_service.storage.outbox import replies
from kernel_service.storage.schema.media import media, media_chunk
from kernel_service.storage.schema.outbox import reply
from kernel_service.storage.schema.people import person
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Row

    from kernel_service.ports.exporting import Exported
    from kernel_service.ports.messages import ReplyFile
    from kernel_service.storage.engine.engine import Tx

_WHOSE = media.c.person_id.in_(
    select(person.c.id).where(or_(person.c.id == bindparam("person"), person.c.merged_into == bindparam("person")))
)
_REPLIES = select(reply).where(reply.c.id.in_(bindparam("some", expanding=True)))
_CHUNK = (
    select(media_chunk.c.data, media.c.person_id)
    .select_from(media_chunk.join(media, media.c.id == media_chunk.c.media_id))
    .where(media_chunk.c.media_id == bindparam("of"), media_chunk.c.number == bindparam("number"), _WHOSE)
)


def chunk(tx: Tx, person_id: str, file_id: str, number: int) -> bytes | None:
    """None: it does not open, or is no longer stored."""
    row = tx.execute(_CHUNK, {"of": file_id, "number": number, "person": person_id}).one_or_none()
    if row is None:
        return None
    try:
        return tx.cipher_of(row.person_id).open(row.data, place(media_chunk.c.data, file_id, number))
    except Unreadable:
        return None


def _files(tx: Tx, rows: Sequence[Row[Any]]) -> Iterable[Exported]:
    made = _made(tx, {row.reply_id for row in rows if row.reply_id})
    for row in rows:
        yield _file(Opening(tx, row), row, made.get(row.id))


def _file(opening: Opening, row: Row[Any], made: ReplyFile | None) -> Exported:
    name = made.filename if made else ""
    if row.asked:  # of a file that a tool made, the reply has the name and the type
        name = opening.json(media.c.asked, "filename", lambda asked: str(asked["filename"])) or ""
    file = ExportedFile(
        id=row.id,
        message_seq=row.message_seq,
        reply_id=row.reply_id,
        mime_type=row.mime_type or (made.mime_type if made else ""),
        filename=name,
        state=row.state,
        problem=row.problem,
        size=row.size,
        chunks=row.chunks,
        created_at=row.created_at,
        transcript=opening.text(media.c.transcript, "transcript"),
    )
    return opening.exported(file)


def _made(tx: Tx, reply_ids: set[str]) -> dict[str, ReplyFile]:
    """The files of replies, as far as these can be opened."""
    made: dict[str, ReplyFile] = {}
    for row in tx.execute(_REPLIES, {"some": sorted(reply_ids)}) if reply_ids else ():
        stored = Opening(tx, row).whole(partial(replies.opened, tx, row), "reply")
        made |= {file.id: file for file in stored.reply.media} if stored else {}
    return made


FILES: Final = source(media, media.c.id, records=_files, whose=_WHOSE, also=(media_chunk,))
