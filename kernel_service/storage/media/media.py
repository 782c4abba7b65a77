"""Files that people sent: kept with their message, leased to their channel, stored in sealed chunks, swept."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, delete, exists, insert, not_, or_, select, update

from kernel_service.errors import NotFound
from kernel_service.media.read_as import MOST_BYTES
from kernel_service.ports.media import (
    CHUNK_BYTES,
    SETTLED_SECONDS,
    WAIT_SECONDS,
    FileProblem,
    MediaAck,
    MediaState,
    MediaWanted,
    ReadAs,
    Settled,
    StoredFile,
    Upload,
)
from kernel_service.ports.outbox import AckResult, Outcome
from kernel_service.storage.media.room import make_room
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.schema import MESSAGE_OPEN, media, media_chunk, message, reply
from kernel_service.storage.sealing.ciphers import place
from kernel_service.storage.usage.paying import pay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row, Select

    from kernel_service.media.incoming import Incoming
    from kernel_service.ports.media import MediaQuota
    from kernel_service.ports.messages import Message, Usage
    from kernel_service.storage.engine.engine import Tx

BACK_OFF_SECONDS: Final = 2.0
SWEEP_CHUNKS: Final = 32
_PROBLEMS: Final = frozenset(problem.value for problem in FileProblem if problem)

KEEP = insert(media)
_KEEP_CHUNK = insert(media_chunk)
_open_message = exists().where(message.c.seq == media.c.message_seq, MESSAGE_OPEN).correlate(media)
_LEASABLE = (
    select(media)
    .where(
        media.c.channel == bindparam("channel"),
        media.c.state == MediaState.WANTED.value,
        media.c.deadline > bindparam("now"),
        or_(media.c.leased_until.is_(None), media.c.leased_until <= bindparam("now")),
        _open_message,
    )
    .order_by(media.c.id)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(of=media, skip_locked=True)
)
_LEASABLE_AT = _LEASABLE.where(media.c.address.in_(bindparam("addresses", expanding=True)))
_LEASE = (
    update(media)
    .where(media.c.id.in_(bindparam("leased", expanding=True)))
    .values(token=bindparam("lease"), leased_until=bindparam("until"), attempts=media.c.attempts + 1)
)
_UNLEASE = (
    update(media).where(media.c.id == bindparam("of"), media.c.token == bindparam("lease")).values(leased_until=None)
)
_ONE = select(media).where(media.c.id == bindparam("of"))
_ONE_TO_CHANGE = _ONE.with_for_update()
_SOME = select(media).where(media.c.id.in_(bindparam("wanted", expanding=True)))
_PUT_OFF = update(media).where(media.c.id == bindparam("of")).values(leased_until=bindparam("until"))
_FAIL = (
    update(media)
    .where(media.c.id == bindparam("of"))
    .values(state=MediaState.FAILED.value, problem=bindparam("because"), size=0, chunks=0, upload="")
)
_BEGIN = update(media).where(media.c.id == bindparam("of")).values(upload=bindparam("begun"), size=0)
_GROW = (
    update(media)
    .where(
        media.c.id == bindparam("of"),
        media.c.upload == bindparam("begun"),
        media.c.state == MediaState.WANTED.value,
    )
    .values(size=media.c.size + bindparam("more"))
)
_END = (
    update(media)
    .where(
        media.c.id == bindparam("of"),
        media.c.upload == bindparam("begun"),
        media.c.state == MediaState.WANTED.value,
    )
    .values(state=MediaState.STORED.value, chunks=bindparam("count"), mime_type=bindparam("known_as"), problem="")
)
_WAITS_NO_MORE = (
    update(message).where(message.c.seq == bindparam("of")).values(waits_until=None).returning(message.c.person_id)
)
_OWNER = select(message.c.person_id).where(message.c.seq == bindparam("of"))
_CHUNK = (
    select(media_chunk.c.data, media.c.person_id)
    .select_from(media_chunk.join(media, media.c.id == media_chunk.c.media_id))
    .where(media_chunk.c.media_id == bindparam("of"), media_chunk.c.number == bindparam("number"))
)
_DROP_CHUNKS = delete(media_chunk).where(media_chunk.c.media_id == bindparam("of"))
_HEARD = update(media).where(media.c.id == bindparam("of")).values(transcript=bindparam("words"))
_reply_to_send = (
    exists()
    .where(reply.c.id == media.c.reply_id, or_(reply.c.settled_at.is_(None), reply.c.settled_at > bindparam("since")))
    .correlate(media)
)
_owner = exists().where(
    media.c.id == media_chunk.c.media_id,
    media.c.state != MediaState.FAILED.value,
    or_(_open_message, _reply_to_send),
)
_LEFT_CHUNKS = (
    select(media_chunk.c.media_id, media_chunk.c.number).where(not_(_owner)).limit(bindparam("limit", type_=Integer))
)
_DROP_CHUNK = delete(media_chunk).where(
    media_chunk.c.media_id == bindparam("of"), media_chunk.c.number == bindparam("which")
)
_DROP_ROWS = delete(media).where(
    not_(exists().where(message.c.seq == media.c.message_seq, MESSAGE_OPEN)),
    not_(exists().where(media_chunk.c.media_id == media.c.id)),
)


# --- with the message -------------------------------------------------------------------------------------------------


def keep(tx: Tx, person_id: str, seq: int, received: Message, file: Incoming, *, media_id: str, now: float) -> None:
    """Keep a message's file, in the transaction that keeps the message: its bytes, or that they are wanted."""
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


# --- at the out-door --------------------------------------------------------------------------------------------------


def lease(
    tx: Tx, channel: str, addresses: Sequence[str], *, limit: int, seconds: float, now: float
) -> list[MediaWanted]:
    token = secrets.token_urlsafe(18)
    values: dict[str, Any] = {"channel": channel, "now": now, "limit": limit}
    due: Select[Any] = _LEASABLE
    if addresses:
        due, values["addresses"] = _LEASABLE_AT, list(addresses)
    rows = tx.execute(due, values).all()
    if rows:
        tx.execute(_LEASE, {"leased": [row.id for row in rows], "lease": token, "until": now + seconds})
    return [_wanted(tx, row, token, now + seconds) for row in rows]


def _wanted(tx: Tx, row: Row[Any], token: str, until: float) -> MediaWanted:
    asked = _asked(tx, row)
    return MediaWanted(
        media_id=row.id,
        media_ref=asked["ref"],
        address=row.address,
        token=token,
        leased_until=until,
        deadline=row.deadline,
        max_bytes=MOST_BYTES[ReadAs(row.opening)],
        sha256=bytes.fromhex(asked["sha256"]),
    )


def unlease(tx: Tx, leases: Sequence[tuple[str, str]]) -> None:
    tx.execute(_UNLEASE, [{"of": media_id, "lease": token} for media_id, token in leases])


def settle(tx: Tx, channel: str, acks: Sequence[MediaAck], *, now: float) -> list[Settled]:
    return [_settle(tx, channel, ack, now) for ack in acks]


def _settle(tx: Tx, channel: str, ack: MediaAck, now: float) -> Settled:
    row = _of_channel(tx, channel, ack.media_id)
    if row is None:
        return Settled(AckResult.UNKNOWN)
    if row.token != ack.token:
        return Settled(AckResult.STALE)
    if row.state != MediaState.WANTED:
        return Settled(AckResult.RECORDED)
    if ack.outcome is Outcome.RETRY:
        wait = BACK_OFF_SECONDS * row.attempts if ack.retry_after is None else ack.retry_after
        tx.execute(_PUT_OFF, {"of": row.id, "until": now + wait})
        return Settled(AckResult.RECORDED)
    return Settled(AckResult.RECORDED, fail(tx, row, problem_of(ack.error_code)))


def problem_of(error_code: str) -> FileProblem:
    """What a channel's code means to the person; one that is not known: it is just not there."""
    return FileProblem(error_code) if error_code in _PROBLEMS else FileProblem.UNAVAILABLE


def fail(tx: Tx, row: Row[Any], problem: FileProblem) -> str:
    """Who has a message that waits no more. The chunks are left to the sweep."""
    tx.execute(_FAIL, {"of": row.id, "because": problem.value})
    return _let_go(tx, row.message_seq)


def _let_go(tx: Tx, seq: int) -> str:
    return str(tx.execute(_WAITS_NO_MORE, {"of": seq}).scalar_one_or_none() or "")


# --- the bytes --------------------------------------------------------------------------------------------------------


def begin_upload(tx: Tx, channel: str, media_id: str, token: str, *, now: float) -> Upload:
    row = _of_channel(tx, channel, media_id)
    if row is None or not token or row.token != token or row.state == MediaState.FAILED:
        raise not_found()
    stored = row.size if row.state == MediaState.STORED else None
    upload_id = new_id("u", now)
    if stored is None:
        tx.execute(_DROP_CHUNKS, {"of": media_id})
        tx.execute(_BEGIN, {"of": media_id, "begun": upload_id})
    asked = _asked(tx, row)
    sha256 = bytes.fromhex(asked["sha256"])
    return Upload(media_id, upload_id, ReadAs(row.opening), row.mime_type, asked["filename"], sha256, stored)


def add_chunk(tx: Tx, upload: Upload, number: int, data: bytes, *, quota: MediaQuota) -> None:
    row = tx.execute(_ONE_TO_CHANGE, {"of": upload.media_id}).one_or_none()
    if row is None or row.upload != upload.id:
        raise not_found()
    make_room(tx, row.person_id, len(data), quota, now=row.created_at)
    if not tx.execute(_GROW, {"of": upload.media_id, "begun": upload.id, "more": len(data)}).rowcount:
        raise not_found()
    keep_chunk(tx, row.person_id, upload.media_id, number, data)


def drop_upload(tx: Tx, upload: Upload) -> None:
    row = tx.execute(_ONE_TO_CHANGE, {"of": upload.media_id}).one_or_none()
    if row is not None and row.upload == upload.id and row.state == MediaState.WANTED:
        tx.execute(_DROP_CHUNKS, {"of": upload.media_id})
        tx.execute(_BEGIN, {"of": upload.media_id, "begun": ""})


def end_upload(tx: Tx, upload: Upload, *, chunks: int, mime_type: str, problem: FileProblem) -> str:
    row = tx.execute(_ONE_TO_CHANGE, {"of": upload.media_id}).one_or_none()
    if row is None or row.upload != upload.id or row.state != MediaState.WANTED:
        raise not_found()
    if problem:
        return fail(tx, row, problem)
    ended = {"of": upload.media_id, "begun": upload.id, "count": chunks, "known_as": mime_type}
    tx.execute(_END, ended)
    return _let_go(tx, row.message_seq)


def files(tx: Tx, media_ids: Sequence[str]) -> dict[str, StoredFile]:
    rows = tx.execute(_SOME, {"wanted": list(media_ids)}).all() if media_ids else []
    return {row.id: _file(tx, row) for row in rows}


def _file(tx: Tx, row: Row[Any]) -> StoredFile:
    heard = row.transcript
    if heard is not None:
        heard = tx.cipher_of(row.person_id).open_text(heard, place(media.c.transcript, row.id))
    return StoredFile(
        id=row.id,
        state=MediaState(row.state),
        read_as=ReadAs(row.opening),
        mime_type=row.mime_type,
        size=row.size,
        chunks=row.chunks,
        problem=FileProblem(row.problem),
        transcript=heard,
    )


def chunk(tx: Tx, media_id: str, number: int) -> bytes:
    row = tx.execute(_CHUNK, {"of": media_id, "number": number}).one_or_none()
    if row is None:
        raise not_found()
    return tx.cipher_of(row.person_id).open(row.data, place(media_chunk.c.data, media_id, number))


def keep_transcript(tx: Tx, media_id: str, text: str, usage: Usage, *, settles: Sequence[str] = (), now: float) -> None:
    row = tx.execute(_ONE, {"of": media_id}).one_or_none()
    if row is None:
        raise not_found()
    words = tx.cipher_of(row.person_id).seal_text(text, place(media.c.transcript, media_id))
    tx.execute(_HEARD, {"of": media_id, "words": words})
    pay(tx, tx.execute(_OWNER, {"of": row.message_seq}).scalar_one(), usage, settles, now)


def spoil(tx: Tx, media_id: str, problem: FileProblem) -> None:
    tx.execute(_FAIL, {"of": media_id, "because": problem.value})


def sweep(tx: Tx, *, now: float) -> int:
    """Chunks that no open message and no reply needs, a few at a time; rows once their chunks are gone."""
    left = tx.execute(_LEFT_CHUNKS, {"limit": SWEEP_CHUNKS, "since": now - SETTLED_SECONDS}).all()
    if left:
        tx.execute(_DROP_CHUNK, [{"of": row.media_id, "which": row.number} for row in left])
        return len(left)
    return tx.execute(_DROP_ROWS).rowcount


def _of_channel(tx: Tx, channel: str, media_id: str) -> Row[Any] | None:
    row = tx.execute(_ONE_TO_CHANGE, {"of": media_id}).one_or_none()
    return row if row is not None and row.channel == channel else None


def _asked(tx: Tx, row: Row[Any]) -> dict[str, str]:
    asked: dict[str, str] = tx.cipher_of(row.person_id).open_json(row.asked, place(media.c.asked, row.id))
    return asked


def not_found() -> NotFound:
    """MEDIA_NOT_FOUND."""
    return NotFound("MEDIA_NOT_FOUND", "no such file is wanted, or not under this lease any more")
