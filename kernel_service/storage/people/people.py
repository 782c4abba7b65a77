"""Identifies the sender of a message: aliases are found by keyed digests and stored sealed; a new person gets a data
key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import String, and_, bindparam, exists, func, insert, not_, or_, select, update

from kernel_service.errors import NotFound
from kernel_service.people.identity import FoundAlias, given_ids, resolve
from kernel_service.ports.messages import Alias
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.people import alias, person
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Row

    from kernel_service.people.identity import Resolution
    from kernel_service.ports.messages import Message
    from kernel_service.ports.weak_ids import WeakIdExpiry
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.sealing.ciphers import PersonCipher

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
# A replaced number may now belong to anyone, so it no longer identifies its former owner.
GIVEN_UP: Final = and_(not_(alias.c.strong), alias.c.replaced_at.is_not(None))
FOUND_COLUMNS: Final = (
    alias.c.scope,
    alias.c.digest,
    alias.c.strong,
    alias.c.person_id,
    or_(_HAS_STRONG, GIVEN_UP).label("has_strong"),
    alias.c.created_at,
    alias.c.heard_at,
)
# The row is locked until the transaction ends, so that a merge cannot leave behind a value stored for the person.
FOUND: Final = (
    select(*FOUND_COLUMNS)
    .where(alias.c.channel == bindparam("channel"), alias.c.digest.in_(bindparam("digests", expanding=True)))
    .with_for_update(read=True, of=alias)
)
_NEW_PERSON = insert(person)
_NEW_KERNEL = insert(kernel)
_ATTACH = insert(alias)
_one = (
    alias.c.channel == bindparam("of_channel"),
    alias.c.scope == bindparam("of_scope"),
    alias.c.digest == bindparam("of_digest"),
)
_NOTE_USE = update(alias).where(*_one).values(heard_at=bindparam("at"))
_MOVE = (
    update(alias)
    .where(*_one)
    .values(
        person_id=bindparam("person_id"),
        strong=bindparam("strong"),
        value=bindparam("value"),
        created_at=bindparam("created_at"),
        heard_at=None,
        linked_at=None,
        replaced_at=None,
    )
)
_SURVIVING = select(func.coalesce(person.c.merged_into, person.c.id)).where(
    person.c.id == bindparam("person"), person.c.deleted_at.is_(None)
)
_SURVIVING_STAYS = _SURVIVING.with_for_update(read=True)
_asked_for = bindparam("person", type_=String)
SURVIVOR = func.coalesce(
    select(person.c.merged_into).where(person.c.id == _asked_for).scalar_subquery(),
    _asked_for,
)
"""In a statement: the person, or the one into whom they were merged."""


class GivenIds(NamedTuple):
    """The sender's ids in a message, and the user ids by the scope and the digest under which `alias` has them."""

    channel: str
    ids: list[Alias]
    by_digest: dict[tuple[str, bytes], str]


def given_in(tx: Tx, message: Message) -> GivenIds:
    ids = given_ids(message.user_id, message.aliases)
    return GivenIds(message.channel, ids, _digested(tx, ids))


def person_of(tx: Tx, given: GivenIds, now: float, weak_ids: WeakIdExpiry) -> str:
    """The message's person, created if they are new; its ids are stored. Raises `Conflict` IDENTITY_CONFLICT."""
    resolution = whose(tx, given, now, weak_ids)
    person_id = resolution.person_id or _new_person(tx, now)
    attach(tx, person_id, resolution.attach, now)
    move(tx, person_id, resolution.move, now)
    for one in resolution.used:
        tx.execute(_NOTE_USE, _row(tx, one) | {"at": now})
    return person_id


def whose(tx: Tx, given: GivenIds, now: float, weak_ids: WeakIdExpiry) -> Resolution:
    """The message's person by the stored ids, without any change. Raises `Conflict` IDENTITY_CONFLICT."""
    return resolve(_find(tx, given.channel, given.by_digest, now, weak_ids), given.ids)


def find(tx: Tx, channel: str, ids: Iterable[Alias], now: float, weak_ids: WeakIdExpiry) -> list[FoundAlias]:
    """The stored form of those of the ids that identify a person."""
    return _find(tx, channel, _digested(tx, ids), now, weak_ids)


def _find(
    tx: Tx, channel: str, by_digest: Mapping[tuple[str, bytes], str], now: float, weak_ids: WeakIdExpiry
) -> list[FoundAlias]:
    rows = tx.execute(FOUND, {"channel": channel, "digests": list({digest for _, digest in by_digest})})
    return found_among(by_digest, rows, now, weak_ids)


def _digested(tx: Tx, ids: Iterable[Alias]) -> dict[tuple[str, bytes], str]:
    digest, by_digest = tx.digests.user, {}
    for one in ids:
        by_digest[one.scope, digest(one.user_id)] = one.user_id
    return by_digest


def found_among(
    by_digest: Mapping[tuple[str, bytes], str], rows: Iterable[Row[Any]], now: float, weak_ids: WeakIdExpiry
) -> list[FoundAlias]:
    """The aliases of those rows with `FOUND_COLUMNS` whose scope is among the given ones, too."""
    return [
        found(row, by_digest[row.scope, row.digest], now, weak_ids)
        for row in rows
        if (row.scope, row.digest) in by_digest
    ]


def found(row: Row[Any], user_id: str, now: float, weak_ids: WeakIdExpiry) -> FoundAlias:
    """The alias of a row with `FOUND_COLUMNS`."""
    known, heard_at = Alias(user_id, row.strong, row.scope), row.heard_at
    if heard_at is None:
        if row.strong:  # If it is given as weak for the first time, its last use is unknown: it is not silent.
            return FoundAlias(known, row.person_id, row.has_strong, notes_use=not row.has_strong)
        heard_at = row.created_at
    return FoundAlias(
        known,
        row.person_id,
        row.has_strong,
        silent=weak_ids.has_expired(heard_at, now),
        notes_use=not row.has_strong and weak_ids.should_note(heard_at, now),
    )


def surviving(tx: Tx, person_id: str, *, stays: bool = False) -> str:
    """The person, or the one into whom they were merged. Raises `NotFound` PERSON_NOT_FOUND.

    `stays`: lock them against a merge until the transaction ends.
    """
    found = staying(tx, person_id) if stays else tx.execute(_SURVIVING, {"person": person_id}).scalar_one_or_none()
    if found is None:
        raise NotFound("PERSON_NOT_FOUND", "no such person", person_id=person_id)
    return str(found)


def staying(tx: Tx, person_id: str) -> str | None:
    """The person, or the one into whom they were merged, locked until the transaction ends. None: they were deleted."""
    return tx.execute(_SURVIVING_STAYS, {"person": person_id}).scalar_one_or_none()


def alias_value(tx: Tx, row: Row[Any]) -> str:
    """The id that a row of `alias` stores. Raises `Unreadable`."""
    named = place(alias.c.value, row.channel, row.scope, row.digest)
    return tx.cipher_of(row.person_id).open_text(row.value, named)


def _new_person(tx: Tx, now: float) -> str:
    person_id = new_id("p", now)
    tx.execute(_NEW_PERSON, {"id": person_id, "created_at": now, **tx.keyring.new_key(person_id)})
    tx.execute(_NEW_KERNEL, {"person_id": person_id})
    return person_id


def attach(tx: Tx, person_id: str, ids: Sequence[Alias], now: float) -> None:
    """Store ids that identify no person yet."""
    if not ids:
        return
    cipher = tx.cipher_of(person_id)
    rows = [
        {
            "channel": one.user_id.partition(":")[0],
            "scope": one.scope,
            "digest": (digest := tx.digests.user(one.user_id)),
            "person_id": person_id,
            "strong": one.strong,
            "value": _sealed(cipher, one, digest),
            "created_at": now,
        }
        for one in ids
    ]
    tx.execute(_ATTACH, rows)


def move(tx: Tx, person_id: str, ids: Iterable[Alias], now: float) -> None:
    """Take ids from the people whom they identified until now."""
    for one in ids:
        key = _row(tx, one)
        value = _sealed(tx.cipher_of(person_id), one, key["of_digest"])
        tx.execute(_MOVE, key | {"person_id": person_id, "strong": one.strong, "value": value, "created_at": now})


def _row(tx: Tx, one: Alias) -> dict[str, Any]:
    return {
        "of_channel": one.user_id.partition(":")[0],
        "of_scope": one.scope,
        "of_digest": tx.digests.user(one.user_id),
    }


def _sealed(cipher: PersonCipher, one: Alias, digest: bytes) -> bytes:
    named = place(alias.c.value, one.user_id.partition(":")[0], one.scope, digest)
    return cipher.seal_text(one.user_id, named)
