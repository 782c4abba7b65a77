"""Seals the message ids that an earlier release stored in clear, step by step while the service runs.

A step is a short transaction that records its progress in `backfill`, so a restart after a crash resumes there. New
rows hold no id in clear. Until the end, lookups match both forms, see `message_ids`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Integer, bindparam, delete, select, update

from kernel_service.errors import Unreadable
from kernel_service.storage.engine.engine import DataKey
from kernel_service.storage.keys import message_ids
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.outbox import reply, reply_part
from kernel_service.storage.schema.people import person
from kernel_service.storage.schema.service import backfill
from kernel_service.storage.schema.turns import dead_letter
from kernel_service.storage.sealing.ciphers import WrappedKey, place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Row

    from kernel_service.storage.engine.engine import Engine, Tx

log = logging.getLogger(__name__)

STEP: Final = 100
"""Rows per step; other writers may have to wait for them."""
_UNSEALED: Final = b""
"""Replaces an id whose person's key does not open. Such an id cannot be sealed, and is not needed."""

_VACUUM: Final = "vacuum"
"""The last step: freed space of deleted or overwritten rows may still contain ids."""

_LEFT = select(backfill).order_by(backfill.c.name).limit(1)
_LEFT_ROWS = _LEFT.where(backfill.c.name != _VACUUM)
_GO_ON = update(backfill).where(backfill.c.name == bindparam("of")).values(position=bindparam("upto"))
_DONE = delete(backfill).where(backfill.c.name == bindparam("of"))

_after, _limit = bindparam("after", type_=BigInteger), bindparam("limit", type_=Integer)
# Without a join to their people: PostgreSQL would skip a message whose person is being merged.
_MESSAGES = (
    select(message.c.seq, message.c.person_id, message.c.message_id, message.c.sealed_id)
    .where(message.c.seq > _after)
    .order_by(message.c.seq)
    .limit(_limit)
    .with_for_update(of=message)
)
_KEYS = select(person.c.id, person.c.key_id, person.c.data_key, person.c.bound).where(
    person.c.id.in_(bindparam("people", expanding=True))
)
_SEAL = (
    update(message)
    .where(message.c.seq == bindparam("of"))
    .values(message_id=bindparam("id_digest"), sealed_id=bindparam("id_sealed"))
)
# Also those of deleted messages.
_CLEAR_DEAD = (
    update(dead_letter)
    .where(
        dead_letter.c.message_seq > _after,
        dead_letter.c.message_seq <= bindparam("upto", type_=BigInteger),
        dead_letter.c.message_id != "",
    )
    .values(message_id="")
)
_PAST_ALL: Final = 2**63 - 1
_REPLIES = (
    select(reply.c.seq, reply.c.id, reply.c.turn_id, reply.c.answers_message_id)
    .where(reply.c.seq > _after)
    .order_by(reply.c.seq)
    .limit(_limit)
    .with_for_update(of=reply)
)
_IN_TURNS = select(message.c.seq, message.c.turn_id, message.c.message_id).where(
    message.c.turn_id.in_(bindparam("turns", expanding=True))
)
_NUMBER = update(reply).where(reply.c.seq == bindparam("of")).values(answers_seq=bindparam("is"), answers_message_id="")
_PARTS = select(reply_part.c.reply_id, reply_part.c.part, reply_part.c.channel_message_id).where(
    reply_part.c.reply_id.in_(bindparam("replies", expanding=True))
)
_DIGEST = (
    update(reply_part)
    .where(reply_part.c.reply_id == bindparam("of"), reply_part.c.part == bindparam("number"))
    .values(channel_message_id=bindparam("id_digest"))
)


def are_left(connection: Connection) -> bool:
    """Whether some rows still need to be checked."""
    return connection.execute(_LEFT_ROWS).first() is not None


async def seal(engine: Engine) -> int:
    """Seal all ids; return how many rows were checked."""
    seen = 0
    while left := await engine.read(_left):
        if left == _VACUUM:
            await _vacuum(engine)
        else:
            seen += await engine.write_apart(_step)
    return seen


async def _vacuum(engine: Engine) -> None:
    if left_to_do := await engine.vacuum():
        log.warning("message ids of an earlier release may remain in freed space on disk: %s", left_to_do)
    await engine.write(lambda tx: tx.execute(_DONE, {"of": _VACUUM}).close())


def _left(tx: Tx) -> str:
    """The next kind of rows to check; empty: none."""
    tx.digests.some_in_clear = are_left(tx.connection)
    return str(tx.execute(_LEFT).scalar() or "")


def _step(tx: Tx) -> int:
    left = tx.execute(_LEFT).one()
    rows = _STEPS[left.name](tx, left.position)
    if rows:
        tx.execute(_GO_ON, {"of": left.name, "upto": rows[-1].seq})
    else:
        tx.execute(_DONE, {"of": left.name})
    return len(rows)


def _seal_messages(tx: Tx, after: int) -> Sequence[Row[Any]]:
    rows = tx.execute(_MESSAGES, {"after": after, "limit": STEP}).all()
    if clear := [row for row in rows if row.sealed_id is None]:
        people = tx.execute(_KEYS, {"people": list({row.person_id for row in clear})})
        keys = {one.id: DataKey(WrappedKey(one.key_id, one.data_key), one.bound) for one in people}
        tx.execute(_SEAL, [_sealed(tx, row, keys[row.person_id]) for row in clear])
    tx.execute(_CLEAR_DEAD, {"after": after, "upto": rows[-1].seq if rows else _PAST_ALL})
    return rows


def _sealed(tx: Tx, row: Row[Any], key: DataKey) -> dict[str, Any]:
    digest = tx.digests.message_id(row.message_id)
    try:
        cipher = tx.keyring.cipher(row.person_id, lambda: key)
    except Unreadable:
        sealed = _UNSEALED
    else:
        sealed = cipher.seal_text(row.message_id, place(message.c.sealed_id, row.seq))
    return {"of": row.seq, "id_digest": digest, "id_sealed": sealed}


def _digest_parts_and_number(tx: Tx, after: int) -> Sequence[Row[Any]]:
    """Replies reference the message that they answer by its number. Their parts keep only the digest of the sent id."""
    rows = tx.execute(_REPLIES, {"after": after, "limit": STEP}).all()
    answering = [row for row in rows if row.answers_message_id]
    if answering:
        turns = tx.execute(_IN_TURNS, {"turns": list({row.turn_id for row in answering})})
        seqs = {(row.turn_id, _digested(tx, row.message_id)): row.seq for row in turns}
        named = [(row.turn_id, tx.digests.message_id(row.answers_message_id)) for row in answering]
        tx.execute(_NUMBER, [{"of": row.seq, "is": seqs.get(name)} for row, name in zip(answering, named, strict=True)])
    parts = tx.execute(_PARTS, {"replies": [row.id for row in rows]}).all()
    clear = [part for part in parts if message_ids.in_clear(part.channel_message_id)]
    if clear:
        tx.execute(_DIGEST, [_digested_part(tx, part) for part in clear])
    return rows


def _digested(tx: Tx, stored: str) -> str:
    return tx.digests.message_id(stored) if message_ids.in_clear(stored) else stored


def _digested_part(tx: Tx, part: Row[Any]) -> dict[str, Any]:
    digest = tx.digests.message_id(part.channel_message_id)
    return {"of": part.reply_id, "number": part.part, "id_digest": digest}


_STEPS: Final[dict[str, Callable[[Tx, int], Sequence[Row[Any]]]]] = {
    "message": _seal_messages,
    "reply": _digest_parts_and_number,
}
