"""Files that people send: leased to their channel, uploaded in chunks, deleted when no longer needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Float, Integer, bindparam, delete, exists, not_, or_, select, update

from kernel_service.media.read_as import MOST_BYTES
from kernel_service.ports.lease_tokens import new_token
from kernel_service.ports.media import (
    SETTLED_SECONDS,
    FileProblem,
    MediaAck,
    MediaState,
    MediaWanted,
    ReadAs,
    Settled,
    Upload,
)
from kernel_service.ports.outbox import AckResult, Outcome
from kernel_service.ports.states.media import MEDIA
from kernel_service.storage.engine.units import SqlPort, reads, writes, writes_apart
from kernel_service.storage.media.media import fail, keep_chunk, let_go, not_found, problem_of
from kernel_service.storage.media.room import make_room
from kernel_service.storage.nodes.pullers import MAY_LEASE, named
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.media import media, media_chunk
from kernel_service.storage.schema.outbox import reply
from kernel_service.storage.schema.transitions import may_become
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row, Select

    from kernel_service.ports.media import MediaQuota
    from kernel_service.ports.outbox import Puller
    from kernel_service.storage.engine.engine import Engine, Tx

BACK_OFF_SECONDS: Final = 2.0
SWEEP_CHUNKS: Final = 32

_open_message = exists().where(message.c.seq == media.c.message_seq, MESSAGE_OPEN).correlate(media)
_LEASABLE = (
    select(media)
    .where(
        media.c.channel == bindparam("channel"),
        media.c.state == MediaState.WANTED.value,
        media.c.deadline > bindparam("now"),
        or_(media.c.leased_until.is_(None), media.c.leased_until <= bindparam("now")),
        _open_message,
        MAY_LEASE,
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
_LEASED_UNTIL = select(media.c.id, media.c.token, media.c.leased_until).where(
    media.c.id.in_(bindparam("leased", expanding=True)), media.c.state == MediaState.WANTED.value
)
_UNLEASE = (
    update(media).where(media.c.id == bindparam("of"), media.c.token == bindparam("lease")).values(leased_until=None)
)
_ONE_TO_CHANGE = select(media).where(media.c.id == bindparam("of")).with_for_update()
_PUT_OFF = update(media).where(media.c.id == bindparam("of")).values(leased_until=bindparam("until"))
_BEGIN = update(media).where(media.c.id == bindparam("of")).values(upload=bindparam("begun"), size=0)
_GROW = (
    update(media)
    .where(
        media.c.id == bindparam("of"),
        media.c.upload == bindparam("begun"),
        media.c.state == MediaState.WANTED.value,
    )
    .values(size=media.c.size + bindparam("more"), leased_until=bindparam("until", type_=Float))
)
_END = (
    update(media)
    .where(
        media.c.id == bindparam("of"),
        media.c.upload == bindparam("begun"),
        may_become(media.c.state, MEDIA, MediaState.STORED),
    )
    .values(state=MediaState.STORED.value, chunks=bindparam("count"), mime_type=bindparam("known_as"), problem="")
)
_DROP_CHUNKS = delete(media_chunk).where(media_chunk.c.media_id == bindparam("of"))
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
_NOTE_FULL = (
    update(media)
    .where(media.c.id == bindparam("of"), media.c.state == MediaState.WANTED.value)
    .values(problem=FileProblem.NO_ROOM.value)
)


class SqlMedia(SqlPort):
    """Fills `MediaStore`. `quota` bounds the files that are kept."""

    def __init__(self, engine: Engine, quota: MediaQuota) -> None:
        super().__init__(engine)
        self._quota = quota

    @writes(in_order_of="puller.channel")
    def lease(
        self, tx: Tx, puller: Puller, addresses: Sequence[str], *, limit: int, seconds: float, now: float
    ) -> list[MediaWanted]:
        token = new_token(puller.instance, puller.node)
        values: dict[str, Any] = {"channel": puller.channel, "now": now, "limit": limit, **named(puller)}
        due: Select[Any] = _LEASABLE
        if addresses:
            due, values["addresses"] = _LEASABLE_AT, list(addresses)
        rows = tx.execute(due, values).all()
        if rows:
            tx.execute(_LEASE, {"leased": [row.id for row in rows], "lease": token, "until": now + seconds})
        return [_wanted(tx, row, token, now + seconds) for row in rows]

    @reads
    def leased_until(self, tx: Tx, leases: Sequence[tuple[str, str]]) -> list[float | None]:
        rows = tx.execute(_LEASED_UNTIL, {"leased": [media_id for media_id, _ in leases]}).all() if leases else []
        until = {(row.id, row.token): row.leased_until for row in rows}
        return [until.get(lease) for lease in leases]

    @writes()
    def release(self, tx: Tx, leases: Sequence[tuple[str, str]]) -> None:
        tx.execute(_UNLEASE, [{"of": media_id, "lease": token} for media_id, token in sorted(leases)])

    @writes(in_order_of="channel")
    def settle(self, tx: Tx, channel: str, acks: Sequence[MediaAck], *, now: float) -> list[Settled]:
        # Rows are locked in the order of their ids, as at other nodes. Acknowledgements of one file keep their order.
        order = sorted(range(len(acks)), key=lambda place: acks[place].media_id)
        settled = {place: _settle(tx, channel, acks[place], now) for place in order}
        return [settled[place] for place in range(len(acks))]

    @writes_apart
    def begin_upload(self, tx: Tx, channel: str, media_id: str, token: str, *, now: float) -> Upload:
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

    @writes_apart
    def add_chunk(self, tx: Tx, upload: Upload, number: int, data: bytes, *, leased_until: float) -> None:
        row = tx.execute(_ONE_TO_CHANGE, {"of": upload.media_id}).one_or_none()
        if row is None or row.upload != upload.id:
            raise not_found()
        make_room(tx, row.person_id, len(data), self._quota, now=row.created_at)
        grown = {"of": upload.media_id, "begun": upload.id, "more": len(data), "until": leased_until}
        if not tx.execute(_GROW, grown).rowcount:
            raise not_found()
        keep_chunk(tx, row.person_id, upload.media_id, number, data)

    @writes_apart
    def drop_upload(self, tx: Tx, upload: Upload) -> None:
        row = tx.execute(_ONE_TO_CHANGE, {"of": upload.media_id}).one_or_none()
        if row is not None and row.upload == upload.id and row.state == MediaState.WANTED:
            tx.execute(_DROP_CHUNKS, {"of": upload.media_id})
            tx.execute(_BEGIN, {"of": upload.media_id, "begun": ""})

    @writes()
    def end_upload(self, tx: Tx, upload: Upload, *, chunks: int, mime_type: str, problem: FileProblem) -> str:
        row = tx.execute(_ONE_TO_CHANGE, {"of": upload.media_id}).one_or_none()
        if row is None or row.upload != upload.id or row.state != MediaState.WANTED:
            raise not_found()
        if problem:
            return fail(tx, row, problem)
        ended = {"of": upload.media_id, "begun": upload.id, "count": chunks, "known_as": mime_type}
        tx.execute(_END, ended)
        return let_go(tx, row.message_seq)

    @writes_apart
    def sweep(self, tx: Tx, *, now: float) -> int:
        # A few chunks per transaction, then the rows without chunks.
        left = tx.execute(_LEFT_CHUNKS, {"limit": SWEEP_CHUNKS, "since": now - SETTLED_SECONDS}).all()
        if left:
            tx.execute(_DROP_CHUNK, [{"of": row.media_id, "which": row.number} for row in left])
            return len(left)
        return tx.execute(_DROP_ROWS).rowcount

    @writes_apart
    def note_full(self, tx: Tx, upload: Upload) -> None:
        tx.execute(_NOTE_FULL, {"of": upload.media_id})


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


def _of_channel(tx: Tx, channel: str, media_id: str) -> Row[Any] | None:
    row = tx.execute(_ONE_TO_CHANGE, {"of": media_id}).one_or_none()
    return row if row is not None and row.channel == channel else None


def _asked(tx: Tx, row: Row[Any]) -> dict[str, str]:
    asked: dict[str, str] = tx.cipher_of(row.person_id).open_json(row.asked, place(media.c.asked, row.id))
    return asked
