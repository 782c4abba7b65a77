"""Values that the master keys have sealed: which keys they need, and resealing them with the current one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, func, select, update

from kernel_service.errors import SealingKeyUnknown, Unreadable
from kernel_service.ports.keys import KeyUse
from kernel_service.storage.engine.engine import DataKey, unwrap_data_key, wrap_data_key
from kernel_service.storage.keys import shared_secrets
from kernel_service.storage.schema.people import identity_link, person
from kernel_service.storage.schema.service import secret
from kernel_service.storage.sealing.ciphers import WrappedKey

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.sealing.ciphers import MasterKeys

PAGE: Final = 500
"""Keys that are resealed in one transaction."""

_NEXT_ID: Final = select(func.min(person.c.key_id)).where(person.c.key_id > bindparam("after"))
_PEOPLE: Final = select(func.count()).select_from(person).where(person.c.key_id == bindparam("of"))
_SECRETS: Final = select(secret.c.key_id, func.count()).group_by(secret.c.key_id)
_AWAITING: Final = (
    select(identity_link.c.awaiting_key_id, func.count())
    .where(identity_link.c.awaiting.is_not(None))
    .group_by(identity_link.c.awaiting_key_id)
)
_PAGE: Final = (
    select(person)
    .where(person.c.id > bindparam("after"), person.c.key_id != bindparam("current"))
    .order_by(person.c.id)
    .limit(bindparam("limit", type_=Integer))
)
# Unless a concurrent rotation has resealed the same key already.
_REWRAP: Final = (
    update(person)
    .where(person.c.id == bindparam("of"), person.c.data_key == bindparam("was"))
    .values(data_key=bindparam("wrapped"), key_id=bindparam("by"))
)


def used(connection: Connection, master_keys: MasterKeys) -> list[KeyUse]:
    """Each configured key, the current one first, and then each key that only stored data names."""
    secrets, awaiting = _counts(connection, _SECRETS), _counts(connection, _AWAITING)
    people = {key_id: _people(connection, key_id) for key_id in _ids_of_people(connection)}
    missing = sorted({*people, *secrets, *awaiting}.difference(master_keys.ids))
    return [
        KeyUse(
            key_id,
            current=key_id == master_keys.current,
            configured=key_id in master_keys.ids,
            people=people.get(key_id, 0),
            secrets=secrets.get(key_id, 0),
            awaiting=awaiting.get(key_id, 0),
        )
        for key_id in (*master_keys.ids, *missing)
    ]


def check(connection: Connection, master_keys: MasterKeys) -> None:
    """Raises `SealingKeyUnknown` if a required key is not configured. People are counted only then."""
    needed = {*_ids_of_people(connection), *_counts(connection, _SECRETS), *_counts(connection, _AWAITING)}
    if needed.issubset(master_keys.ids):
        return
    missing = next(use for use in used(connection, master_keys) if not use.configured)
    own = missing.secrets + missing.awaiting
    raise SealingKeyUnknown(
        f"KERNEL_ENCRYPTION_KEYS lacks the key '{missing.key_id}', which {missing.rows:,} rows need"
        f" ({missing.people:,} of people, {own:,} of the service itself): put it back behind the current one, run"
        " `kernelctl rotate`, and remove it once `kernelctl keys` says that it may be removed",
        key_id=missing.key_id,
    )


def _ids_of_people(connection: Connection) -> list[str]:
    """Read from the index, one step per key id: people are many, and keys are few."""
    found: list[str] = []
    while (key_id := connection.execute(_NEXT_ID, {"after": found[-1] if found else ""}).scalar()) is not None:
        found.append(key_id)
    return found


def _people(connection: Connection, key_id: str) -> int:
    return int(connection.execute(_PEOPLE, {"of": key_id}).scalar_one())


def _counts(connection: Connection, statement: Any) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(statement)}


def rewrap_secrets(tx: Tx) -> tuple[int, int]:
    """Reseal the values without an owner; see `rewrap_people`."""
    return shared_secrets.rewrap(tx.connection, tx.keyring.master_keys)


def rewrap_people(tx: Tx, after: str) -> tuple[str, int, int]:
    """Reseal a page of data keys after `after`. Returns the last one's person (empty: none is left), how many were
    sealed with the current key, and how many do not open.
    """
    master_keys = tx.keyring.master_keys
    rows = tx.execute(_PAGE, {"after": after, "current": master_keys.current, "limit": PAGE}).all()
    values = [one for row in rows if (one := _rewrapped(master_keys, row))]
    if values:
        tx.execute(_REWRAP, values)
    return rows[-1].id if rows else "", len(values), len(rows) - len(values)


def _rewrapped(master_keys: MasterKeys, row: Any) -> dict[str, Any] | None:
    try:
        key = unwrap_data_key(master_keys, row.id, DataKey(WrappedKey(row.key_id, row.data_key), row.bound))
    except Unreadable:
        return None
    kept = wrap_data_key(master_keys, row.id, key, bound=row.bound)
    return {"of": row.id, "was": row.data_key, "wrapped": kept["data_key"], "by": kept["key_id"]}
