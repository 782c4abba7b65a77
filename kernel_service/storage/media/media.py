"""Files that people sent: stored with their message, leased to their channel, kept in sealed chunks, swept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert, update

from kernel_service.errors import NotFound
from kernel_service.ports.media import (
    CHUNK_BYTES,
    WAIT_SECONDS,
    FileProblem,
    MediaState,
)
from kernel_service.ports.states.media import MEDIA
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.media import media, media_chunk
from kernel_service.storage.schema.transitions import may_become
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.media.incoming import IncomingFile
    from kernel_service.ports.messages import Message
    from kernel_service.storage.engine.engine import Tx

_PROBLEMS: Final = frozenset(problem.value for problem in FileProblem if problem)

KEEP = insert(media)
_KEEP_CHUNK = insert(media_chunk)
_FAIL = (
    update(media)
    .where(media.c.id == bindparam("of"), may_become(media.c.state, MEDIA, MediaState.FAILED))
    .values(state=MediaState.FAILED.value, problem=bindparam("because"), size=0, chunks=0, upload="")
)
_WAITS_NO_MORE = (
    update(message).where(message.c.seq == bindparam("of")).values(waits_until=None).returning(message.c.person_id)
)


def keep(tx: Tx, person_id: str, seq: int, received: Message, file: IncomingFile, *, media_id: str, now: float) -> None:
    """Store a message's file in the transaction that stores the message: its bytes, or a request for them."""
    state = MediaState.FAILED if file.problem else MediaState.WANTED if file.wanted else MediaState.STORED
    pieces = [file.data[start : start + CHUNK_BYTES] for start in range(0, len(file.data), CHUNK_BYTES)]
    asked = {"ref": file.media_ref, "sha256": file.sha256.hex(), "filename": file.filename}
    row = {
        "id": media_id,
        "person_id": person_id,
        "message_seq": seq,
        "channel": received.channel,
        "address": received.address,
        "state": state.value,
        "opening": file.read_as.value,
        "mime_type": file.mime_type,
        "asked": tx.cipher_of(person_id).seal_json(asked, place(media.c.asked, media_id)),
        "created_at": now,
        "deadline": now + WAIT_SECONDS,
        "problem": file.problem.value,
        "size": len(file.data),
        "chunks": len(pieces),
    }
    tx.execute(KEEP, row)
    for number, piece in enumerate(pieces):
        keep_chunk(tx, person_id, media_id, number, piece)


def keep_chunk(tx: Tx, person_id: str, media_id: str, number: int, data: bytes) -> None:
    """Sealed with the key of the person of the file's row."""
    sealed = tx.cipher_of(person_id).seal(data, place(media_chunk.c.data, media_id, number))
    tx.execute(_KEEP_CHUNK, {"media_id": media_id, "number": number, "data": sealed})


def problem_of(error_code: str) -> FileProblem:
    """The meaning of a channel's error code for the person. An unknown code means that the file is unavailable."""
    return FileProblem(error_code) if error_code in _PROBLEMS else FileProblem.UNAVAILABLE


def fail(tx: Tx, row: Row[Any], problem: FileProblem) -> str:
    """Returns the owner of a message that no longer waits, or ''. The sweep deletes the chunks."""
    mark_failed(tx, row.id, problem)
    return let_go(tx, row.message_seq)


def mark_failed(tx: Tx, media_id: str, problem: FileProblem) -> None:
    tx.execute(_FAIL, {"of": media_id, "because": problem.value})


def let_go(tx: Tx, seq: int) -> str:
    """End the message's wait for its file; return its person."""
    return str(tx.execute(_WAITS_NO_MORE, {"of": seq}).scalar_one_or_none() or "")


def not_found() -> NotFound:
    """MEDIA_NOT_FOUND."""
    return NotFound("MEDIA_NOT_FOUND", "no such file is requested, or this lease has ended")
