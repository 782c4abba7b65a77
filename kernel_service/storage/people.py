"""Who a message is from: aliases found by keyed digests, kept sealed; a new person gets a data key of his own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, exists, insert, or_, select, update

from kernel_service.messages import Alias
from kernel_service.people.identity import FoundAlias, given_ids, resolve
from kernel_service.storage.engine import key_context
from kernel_service.storage.ids import new_id
from kernel_service.storage.schema import alias, kernel, person
from kernel_service.storage.sealing import KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_service.messages import Message
    from kernel_service.storage.engine import Tx

_other = alias.alias("other")
_HAS_STRONG = exists().where(
    _other.c.person_id == alias.c.person_id,
    _other.c.strong,
    or_(
        _other.c.channel != alias.c.channel,
        _other.c.scope != alias.c.scope,
        _other.c.digest != alias.c.digest,
    ),
)
_FOUND = select(
    alias.c.scope, alias.c.digest, alias.c.strong, alias.c.person_id, _HAS_STRONG.label("has_strong")
).where(alias.c.channel == bindparam("channel"), alias.c.digest.in_(bindparam("digests", expanding=True)))
_NAMED = (
    select(alias.c.person_id)
    .where(alias.c.channel == bindparam("channel"), alias.c.digest == bindparam("digest"))
    .order_by(alias.c.strong.desc(), alias.c.created_at.desc())
    .limit(1)
)
_OF_PERSON = (
    select(alias.c.value, alias.c.strong, alias.c.scope)
    .where(alias.c.person_id == bindparam("person"))
    .order_by(alias.c.strong.desc(), alias.c.created_at, alias.c.digest)
)
_NEW_PERSON = insert(person)
_NEW_KERNEL = insert(kernel)
_ATTACH = insert(alias)
_MOVE = (
    update(alias)
    .where(
        alias.c.channel == bindparam("of_channel"),
        alias.c.scope == bindparam("of_scope"),
        alias.c.digest == bindparam("of_digest"),
    )
    .values(
        person_id=bindparam("person_id"),
        strong=bindparam("strong"),
        value=bindparam("value"),
        created_at=bindparam("created_at"),
    )
)


def person_of_message(tx: Tx, message: Message, now: float) -> str:
    """The message's person, made if he is new; the ids it brings are kept. Conflict IDENTITY_CONFLICT."""
    given = given_ids(message.user_id, message.aliases)
    digests = {tx.digests.user(one.user_id): one.user_id for one in given}
    rows = tx.execute(_FOUND, {"channel": message.channel, "digests": list(digests)})
    asked = {(one.scope, one.user_id) for one in given}
    found = [
        FoundAlias(Alias(digests[row.digest], row.strong, row.scope), row.person_id, row.has_strong)
        for row in rows
        if (row.scope, digests[row.digest]) in asked
    ]
    resolution = resolve(found, given)
    person_id = resolution.person_id or _new_person(tx, now)
    _attach(tx, person_id, resolution.attach, now)
    _move(tx, person_id, resolution.move, now)
    return person_id


def person_of(tx: Tx, user_id: str) -> str | None:
    channel = user_id.partition(":")[0]
    named = {"channel": channel, "digest": tx.digests.user(user_id)}
    return tx.execute(_NAMED, named).scalar_one_or_none()


def aliases_of(tx: Tx, person_id: str) -> list[Alias]:
    """Strong ones first, then in the order in which they came."""
    cipher, context = tx.cipher_of(person_id), _context(person_id)
    rows = tx.execute(_OF_PERSON, {"person": person_id})
    return [Alias(cipher.open(row.value, context).decode(), row.strong, row.scope) for row in rows]


def _new_person(tx: Tx, now: float) -> str:
    person_id = new_id("p", now)
    stored = tx.keyring.master_keys.wrap(os.urandom(KEY_BYTES), key_context(person_id))
    row = {"id": person_id, "created_at": now, "data_key": stored.wrapped, "key_id": stored.key_id}
    tx.execute(_NEW_PERSON, row)
    tx.execute(_NEW_KERNEL, {"person_id": person_id})
    return person_id


def _attach(tx: Tx, person_id: str, attach: Iterable[Alias], now: float) -> None:
    for one in attach:
        row = {
            "channel": one.user_id.partition(":")[0],
            "scope": one.scope,
            "digest": tx.digests.user(one.user_id),
            "person_id": person_id,
            "strong": one.strong,
            "value": _seal(tx, person_id, one),
            "created_at": now,
        }
        tx.execute(_ATTACH, row)


def _move(tx: Tx, person_id: str, move: Iterable[Alias], now: float) -> None:
    for one in move:
        row = {
            "of_channel": one.user_id.partition(":")[0],
            "of_scope": one.scope,
            "of_digest": tx.digests.user(one.user_id),
            "person_id": person_id,
            "strong": one.strong,
            "value": _seal(tx, person_id, one),
            "created_at": now,
        }
        tx.execute(_MOVE, row)


def _seal(tx: Tx, person_id: str, one: Alias) -> bytes:
    return tx.cipher_of(person_id).seal(one.user_id.encode(), _context(person_id))


def _context(person_id: str) -> bytes:
    return b"alias:" + person_id.encode()
