"""What turns left to be done once toolkits are connected: kept once each, gone on with once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert, select, update

from kernel_service.errors import Conflict
from kernel_service.storable import storable_text
from kernel_service.storage.ids import new_id
from kernel_service.storage.people import SURVIVOR
from kernel_service.storage.schema import parked_request
from kernel_service.storage.sealing import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.kernels.store import TurnRecord
    from kernel_service.storage.engine import Tx
    from kernel_service.turns.resuming import ParkedRequest

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 3 * 86_400.0
"""For so long a request goes on by itself; who connects later has other things in mind."""

_mine = parked_request.c.person_id == bindparam("person")
_waits = parked_request.c.resumed_by.is_(None) & parked_request.c.withdrawn_at.is_(None)
_WAITING = select(parked_request).where(_mine, _waits, parked_request.c.created_at > bindparam("after"))
_ADD = insert(parked_request)
_CHANGE = (
    update(parked_request)
    .where(parked_request.c.id == bindparam("of"))
    .values(toolkits=bindparam("left"), resumed_by=bindparam("by"))
)
_RESUMED = (
    select(parked_request)
    .where(parked_request.c.person_id == SURVIVOR, parked_request.c.resumed_by == bindparam("seq"))
    .order_by(parked_request.c.id)
)
_WITHDRAW = update(parked_request).where(_mine, _waits).values(withdrawn_at=bindparam("at"))


def park(tx: Tx, record: TurnRecord, parked: Sequence[ParkedRequest], now: float) -> None:
    """The same words for two toolkits are one request that needs both; asked for again, it is still one."""
    for one in parked:
        digest = tx.digests.payload(storable_text(" ".join(one.remaining.split()).casefold()).encode())
        rows = tx.execute(_WAITING, {"person": record.person_id, "after": now - KEPT_SECONDS})
        same = next((row for row in rows if row.digest == digest), None)
        if same is None:
            _add(tx, record, one, digest, now)
        elif one.toolkit not in same.toolkits.split(","):
            tx.execute(_CHANGE, {"of": same.id, "left": f"{same.toolkits},{one.toolkit}", "by": None})


def _add(tx: Tx, record: TurnRecord, one: ParkedRequest, digest: bytes, now: float) -> None:
    request_id = new_id("pk", now)
    row = {
        "id": request_id,
        "person_id": record.person_id,
        "turn_id": record.id,
        "toolkits": one.toolkit,
        "digest": digest,
        "words": tx.cipher_of(record.person_id).seal_text(one.remaining, place(parked_request.c.words, request_id)),
        "created_at": now,
    }
    tx.execute(_ADD, row)


def resume(tx: Tx, person_id: str, toolkit: str, seq: int, now: float) -> None:
    """The toolkit is connected: what waits for nothing else goes on with the message `seq`."""
    for row in tx.execute(_WAITING, {"person": person_id, "after": now - KEPT_SECONDS}).all():
        needed = row.toolkits.split(",")
        if toolkit in needed:
            left = [each for each in needed if each != toolkit]
            tx.execute(_CHANGE, {"of": row.id, "left": ",".join(left), "by": None if left else seq})


def resumed_by(tx: Tx, person_id: str, seq: int) -> list[str]:
    """Oldest first; what cannot be read any more is left out."""
    rows = tx.execute(_RESUMED, {"person": person_id, "seq": seq}).all()
    return [words for row in rows if (words := _words(tx, row))]


def _words(tx: Tx, row: Row[Any]) -> str:
    cipher = tx.cipher_of(row.person_id)
    try:
        return cipher.open_text(row.words, place(parked_request.c.words, row.id))
    except Conflict:
        log.error("parked request damaged request=%s person=%s", row.id, row.person_id)  # noqa: TRY400
        return ""


def withdraw(tx: Tx, person_id: str, now: float) -> None:
    """The person takes back whatever waits."""
    tx.execute(_WITHDRAW, {"person": person_id, "at": now})
