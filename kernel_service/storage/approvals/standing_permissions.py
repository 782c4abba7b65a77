"""Standing permissions: a row for each tool and account, without any content of messages or calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, exists, insert, or_, select, update

from kernel_service.ports.approvals import StandingPermission
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.storage.keys import damage
from kernel_service.storage.people.people import SURVIVOR
from kernel_service.storage.schema.approvals import standing_permission
from kernel_service.storage.schema.connections import connection
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Delete, Row

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.keys.resealing import Merging

_mine = standing_permission.c.person_id == bindparam("person")
THIS = and_(_mine, standing_permission.c.tool == bindparam("of"), standing_permission.c.account == bindparam("used"))
# Another person's connection never matches, and a disconnected one is never reused.
_connected = exists().where(
    connection.c.id == standing_permission.c.account,
    connection.c.person_id == standing_permission.c.person_id,
    connection.c.status == ConnectionStatus.ACTIVE.value,
)
COUNTS = or_(standing_permission.c.account == "", _connected)
_ADD = insert(standing_permission)
_REVOKE = delete(standing_permission).where(THIS)
_used = connection.alias("used_account")
_OF_PERSON = (
    select(
        standing_permission.c.person_id,
        standing_permission.c.tool,
        standing_permission.c.account,
        _used.c.toolkit,
        _used.c.toolkit_name,
        _used.c.private,
    )
    .outerjoin(_used, _used.c.id == standing_permission.c.account)
    .where(standing_permission.c.person_id == SURVIVOR, COUNTS)
    .order_by(standing_permission.c.created_at, standing_permission.c.tool, standing_permission.c.account)
)
_other = standing_permission.alias("other")
_DROP_TWINS = delete(standing_permission).where(
    standing_permission.c.person_id == bindparam("merged"),
    exists().where(
        _other.c.person_id == bindparam("remaining"),
        _other.c.tool == standing_permission.c.tool,
        _other.c.account == standing_permission.c.account,
    ),
)
_MOVE = (
    update(standing_permission)
    .where(standing_permission.c.person_id == bindparam("merged"))
    .values(person_id=bindparam("remaining"))
)


def give(tx: Tx, person_id: str, tool: str, account: str, now: float) -> None:
    """Giving a permission twice stores it once."""
    revoke(tx, person_id, [StandingPermission(tool, account)])
    tx.execute(_ADD, {"person_id": person_id, "tool": tool, "account": account, "created_at": now})


def of_person(tx: Tx, person_id: str) -> list[StandingPermission]:
    """The oldest first."""
    return [_permission(tx, row) for row in tx.execute(_OF_PERSON, {"person": person_id}).all()]


def _permission(tx: Tx, row: Row[Any]) -> StandingPermission:
    """With the name of its account, if that can be opened."""
    if not row.account:
        return StandingPermission(row.tool, row.account)
    private = row.private and damage.value_of(tx, row.person_id, row.private, place(connection.c.private, row.account))
    _link, name = private or ("", "")
    return StandingPermission(row.tool, row.account, row.toolkit_name or row.toolkit.title(), name)


def revoke(tx: Tx, person_id: str, permissions: Sequence[StandingPermission]) -> None:
    for each in permissions:
        tx.execute(_REVOKE, {"person": person_id, "of": each.tool, "used": each.account})


def move(tx: Tx, people: Merging) -> None:
    """Permissions move with their connections."""
    names = {"merged": people.merged, "remaining": people.remaining}
    tx.execute(_DROP_TWINS, names)
    tx.execute(_MOVE, names)


def forgetting() -> Delete:
    """Delete the permissions of connections that have ended or were deleted."""
    return delete(standing_permission).where(standing_permission.c.account != "", ~_connected)
