"""Values without an owner, sealed with a master key: the digest key, and ids that await their person."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert, select, update

from kernel_service.errors import SealedValueDamaged, Unreadable
from kernel_service.storage.schema.columns import row_key
from kernel_service.storage.schema.people import identity_link
from kernel_service.storage.schema.service import secret
from kernel_service.storage.sealing import earlier_seals
from kernel_service.storage.sealing.ciphers import KEY_BYTES, WrappedKey, place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

    from kernel_service.storage.sealing.ciphers import MasterKeys, Place

_DIGESTS: Final = "digests"
_DIGEST_KEY: Final = select(secret.c.key_id, secret.c.wrapped).where(secret.c.name == _DIGESTS)
_KEEP: Final = insert(secret)
_REWRAP: Final = update(secret).where(secret.c.name == _DIGESTS)
_AWAITING: Final = select(identity_link).where(identity_link.c.awaiting.is_not(None))
_REWRAP_AWAITING: Final = (
    update(identity_link)
    .where(*(key == bindparam(f"of_{key.name}") for key in row_key(identity_link)))
    .values(awaiting=bindparam("wrapped"), awaiting_key_id=bindparam("key_id"))
)


def digest_key(connection: Connection, master_keys: MasterKeys) -> bytes:
    """Created at the first start. Raises `Unreadable`."""
    row = connection.execute(_DIGEST_KEY).one_or_none()
    if row is None:
        return _new_digest_key(connection, master_keys)
    key, is_bound = _opened(row, master_keys)
    if not is_bound:
        _bind(connection, master_keys, key)
    return key


def check_digest_key(connection: Connection, master_keys: MasterKeys) -> None:
    """Whether the master keys open it, if it is there. Writes nothing. Raises `Unreadable`."""
    row = connection.execute(_DIGEST_KEY).one_or_none()
    if row is not None:
        _opened(row, master_keys)


def _opened(row: Row[Any, Any], master_keys: MasterKeys) -> tuple[bytes, bool]:
    """The key, and whether it is bound to its place."""
    stored = WrappedKey(row.key_id, row.wrapped)
    try:
        return master_keys.unwrap(stored, _digests().context()), True
    except SealedValueDamaged:
        return master_keys.unwrap(stored, earlier_seals.secret(_DIGESTS)), False


def _new_digest_key(connection: Connection, master_keys: MasterKeys) -> bytes:
    key = os.urandom(KEY_BYTES)
    connection.execute(_KEEP, {"name": _DIGESTS} | _wrapped(master_keys, key))
    return key


def rewrap(connection: Connection, master_keys: MasterKeys) -> tuple[int, int]:
    """Reseal all values that another key than the current one has sealed; return how many, and how many do not open."""
    done = unreadable = 0
    row = connection.execute(_DIGEST_KEY).one()
    if row.key_id != master_keys.current:
        key = master_keys.unwrap(WrappedKey(row.key_id, row.wrapped), _digests().context())
        connection.execute(_REWRAP.values(_wrapped(master_keys, key)))
        done += 1
    for link in connection.execute(_AWAITING.where(identity_link.c.awaiting_key_id != master_keys.current)).all():
        if _rewrap_awaiting(connection, master_keys, link, awaiting_place(link._asdict()).context()):
            done += 1
        else:
            unreadable += 1
    return done, unreadable


def _bind(connection: Connection, master_keys: MasterKeys, key: bytes) -> None:
    """Bind all earlier values to their places at once, because they are few. No older form opens afterwards."""
    for row in connection.execute(_AWAITING).all():
        earlier = earlier_seals.awaiting(row.previous_digest, row.current_digest)
        _rewrap_awaiting(connection, master_keys, row, earlier)
    connection.execute(_REWRAP.values(_wrapped(master_keys, key)))


def _rewrap_awaiting(connection: Connection, master_keys: MasterKeys, row: Row[Any], context: bytes) -> bool:
    """False: it does not open."""
    try:
        plain = master_keys.unwrap(WrappedKey(row.awaiting_key_id, row.awaiting), context)
    except Unreadable:
        return False
    wrapped = master_keys.wrap(plain, awaiting_place(row._asdict()).context())
    named = {f"of_{key.name}": getattr(row, key.name) for key in row_key(identity_link)}
    connection.execute(_REWRAP_AWAITING, named | {"wrapped": wrapped.wrapped, "key_id": wrapped.key_id})
    return True


def _wrapped(master_keys: MasterKeys, key: bytes) -> dict[str, object]:
    stored = master_keys.wrap(key, _digests().context())
    return {"key_id": stored.key_id, "wrapped": stored.wrapped}


def awaiting_place(link: Mapping[Any, Any]) -> Place:
    """The place of the id that a row of `identity_link` keeps."""
    return place(identity_link.c.awaiting, *(link[key.name] for key in row_key(identity_link)))


def _digests() -> Place:
    return place(secret.c.wrapped, _DIGESTS)
