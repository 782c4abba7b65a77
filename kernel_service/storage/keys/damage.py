"""Stored values that can no longer be read. Readers continue without them, so that every person still gets answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, exists, not_, or_, update

from kernel_service.errors import Unreadable
from kernel_service.storage.keys import packed_copies
from kernel_service.storage.schema.payloads import from_stored
from kernel_service.storage.schema.turns import TURN_OPEN, item, tool_call, turn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_service.ports.payloads import Payload
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.sealing.ciphers import PersonCipher, Place

PROBLEM: Final = "history_damaged"
"""The `problem` of an open turn that lost its journal."""
GIVE_UP: Final = 1_000_000
"""A failure count above every limit: the next attempt gives the turn up, and informs the person."""

_SUPERSEDE = (
    update(item)
    .where(item.c.person_id == bindparam("person"), item.c.turn_id.in_(bindparam("turns", expanding=True)))
    .values(superseded=True)
)
_has_acted = and_(turn.c.closed, or_(turn.c.tool_calls > 0, exists().where(tool_call.c.turn_id == turn.c.id)))
_open_among = update(turn).where(TURN_OPEN, turn.c.id.in_(bindparam("turns", expanding=True)))
_RESTART = _open_among.where(not_(_has_acted)).values(begun=False)
_GIVE_UP = _open_among.where(_has_acted).values(attempts=GIVE_UP, problem=PROBLEM)


def value_of(tx: Tx, person_id: str, sealed: bytes, where: Place) -> Any:
    """The value sealed as JSON; None: it is damaged. Raises `NotFound` PERSON_NOT_FOUND, `SealingKeyUnknown`."""
    return _value_in(tx.cipher_of(person_id), sealed, where)


def object_in(cipher: PersonCipher, sealed: bytes, where: Place) -> dict[str, Any] | None:
    """The JSON object sealed with this key; None: it is damaged, or another value."""
    value = _value_in(cipher, sealed, where)
    return value if isinstance(value, dict) else None


def _value_in(cipher: PersonCipher, sealed: bytes, where: Place) -> Any:
    try:
        return cipher.open_json(sealed, where)
    except Unreadable:
        return None


def payload_of(tx: Tx, person_id: str, sealed: bytes, where: Place) -> Payload | None:
    """As `value_of`; a value that is not a payload is damaged."""
    stored = object_in(tx.cipher_of(person_id), sealed, where)
    try:
        return from_stored(stored) if stored else None
    except ValueError:
        return None


def leave_out(tx: Tx, person_id: str, turn_ids: Iterable[str]) -> None:
    """Remove turns with a damaged item from the history as a whole: vendors refuse a call without its result, and the
    reverse.

    An open turn restarts. If it may have changed something, its side effects are unknown, and it is given up.
    """
    turns = list(turn_ids)
    tx.execute(_SUPERSEDE, {"person": person_id, "turns": turns})
    packed_copies.drop(tx, person_id)
    tx.execute(_GIVE_UP, {"turns": turns})
    tx.execute(_RESTART, {"turns": turns})
