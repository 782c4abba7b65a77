"""Requests that turns left until toolkits are connected: each is stored once and resumed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert, select, update

from kernel_service.storable import storable_text
from kernel_service.storage.schema.connections import parked_request
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.payloads import to_stored
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.ports.turns import Turn, TurnMessage
    from kernel_service.storage.engine.engine import Tx

KEPT_SECONDS: Final = 3 * 86_400.0
"""A request resumes automatically within this time. An older request is probably obsolete."""

KEPT_OF_MESSAGE: Final = ("seq", "message_id", "channel", "address", "accepted_at", "sent_at")
"""The stored fields of the person's own messages, besides their payloads and the model's summary."""

_mine = parked_request.c.person_id == bindparam("person")
_waits = parked_request.c.resumed_by.is_(None) & parked_request.c.withdrawn_at.is_(None)
_WAITING = select(parked_request).where(_mine, _waits, parked_request.c.created_at > bindparam("after"))
_ADD = insert(parked_request)
_CHANGE = (
    update(parked_request)
    .where(parked_request.c.id == bindparam("of"))
    .values(toolkits=bindparam("left"), resumed_by=bindparam("by"), tainted=bindparam("is_tainted"))
)
_WITHDRAW = update(parked_request).where(_mine, _waits).values(withdrawn_at=bindparam("at"))


def park(tx: Tx, record: Turn, parked: Sequence[ParkedRequest], now: float) -> None:
    """The same text for two toolkits is one request that needs both. A repeated request is stored once."""
    for one in parked:
        digest = tx.digests.payload(storable_text(" ".join(one.request_key.split()).casefold()).encode())
        rows = tx.execute(_WAITING, {"person": record.person_id, "after": now - KEPT_SECONDS})
        same = next((row for row in rows if row.digest == digest), None)
        if same is None:
            _add(tx, record, one, digest, now)
        else:
            toolkits = dict.fromkeys([*same.toolkits.split(","), one.toolkit])
            changed = {"left": ",".join(toolkits), "is_tainted": same.tainted or one.tainted}
            tx.execute(_CHANGE, {"of": same.id, "by": None, **changed})


def _add(tx: Tx, record: Turn, one: ParkedRequest, digest: bytes, now: float) -> None:
    request_id = new_id("pk", now)
    row = {
        "id": request_id,
        "person_id": record.person_id,
        "turn_id": record.id,
        "toolkits": one.toolkit,
        "digest": digest,
        "messages": one.numbers,
        "tainted": one.tainted,
        "words": tx.cipher_of(record.person_id).seal_json(_words(one), place(parked_request.c.words, request_id)),
        "created_at": now,
    }
    tx.execute(_ADD, row)


def _words(one: ParkedRequest) -> dict[str, Any]:
    return {"remaining": one.remaining, "messages": [_kept(each) for each in one.messages]}


def _kept(message: TurnMessage) -> dict[str, Any]:
    kept = {name: getattr(message, name) for name in KEPT_OF_MESSAGE}
    return kept | {"content": to_stored(message.payload)}


def resume(tx: Tx, person_id: str, toolkit: str, seq: int, now: float) -> None:
    """The toolkit is connected: requests that wait for no other toolkit resume with the message `seq`."""
    for row in tx.execute(_WAITING, {"person": person_id, "after": now - KEPT_SECONDS}).all():
        needed = row.toolkits.split(",")
        if toolkit in needed:
            left = [each for each in needed if each != toolkit]
            changed = {"left": ",".join(left), "by": None if left else seq, "is_tainted": row.tainted}
            tx.execute(_CHANGE, {"of": row.id, **changed})


def withdraw(tx: Tx, person_id: str, now: float) -> None:
    """Withdraw all waiting requests of the person."""
    tx.execute(_WITHDRAW, {"person": person_id, "at": now})
