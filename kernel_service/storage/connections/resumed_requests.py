"""Requests that waited for a connection, as they resume: with all revocations and edits of their messages."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, select

from kernel_service.errors import Unreadable
from kernel_service.ports.payloads import Edit, Revoke, Text
from kernel_service.ports.resuming import ParkedRequest
from kernel_service.ports.turns import TurnMessage
from kernel_service.storage.keys import damage
from kernel_service.storage.people.people import SURVIVOR
from kernel_service.storage.schema.connections import parked_request
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.payloads import from_stored
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

MOST_SINCE: Final = 500
"""How many later messages are searched for changes."""

_RESUMED = (
    select(parked_request)
    .where(parked_request.c.person_id == SURVIVOR, parked_request.c.resumed_by == bindparam("seq"))
    .order_by(parked_request.c.id)
)
_SINCE = (
    select(message.c.seq, message.c.payload)
    .where(message.c.person_id == bindparam("person"), message.c.seq > bindparam("after"))
    .order_by(message.c.seq)
    .limit(bindparam("limit", type_=Integer))
)


def resumed_by(tx: Tx, person_id: str, seq: int) -> list[ParkedRequest]:
    """Oldest first, without damaged requests and those that the person withdrew."""
    rows = tx.execute(_RESUMED, {"person": person_id, "seq": seq}).all()
    requests = [request for row in rows if (request := _opened(tx, row))]
    return [one for request in requests if (one := _as_it_stands(tx, rows[0].person_id, request))]


def _opened(tx: Tx, row: Row[Any]) -> ParkedRequest | None:
    cipher, where = tx.cipher_of(row.person_id), place(parked_request.c.words, row.id)
    try:
        if row.messages is None:  # parked by an earlier release: only the model's summary
            words = cipher.open_text(row.words, where)
            return ParkedRequest("", words) if words else None
        words = cipher.open_json(row.words, where)
        messages = tuple(map(_message, words["messages"]))
    except (Unreadable, ValueError):
        log.error("parked request damaged request=%s person=%s", row.id, row.person_id)  # noqa: TRY400
        return None
    return ParkedRequest("", words["remaining"], messages, row.tainted)


def _message(kept: dict[str, Any]) -> TurnMessage:
    payload = from_stored(kept["content"])
    return TurnMessage(payload=payload, **{name: value for name, value in kept.items() if name != "content"})


def _as_it_stands(tx: Tx, person_id: str, request: ParkedRequest) -> ParkedRequest | None:
    """None: all its messages were revoked."""
    if not request.messages:
        return request if request.remaining else None
    messages = {each.message_id: each for each in request.messages}
    since = {"person": person_id, "after": min(each.seq for each in request.messages), "limit": MOST_SINCE}
    for row in tx.execute(_SINCE, since).all():
        payload = damage.payload_of(tx, person_id, row.payload, place(message.c.payload, row.seq))
        match payload and payload.content:
            case Revoke(withdrawn):
                messages.pop(withdrawn, None)
            case Edit(changed, text) if changed in messages:
                messages[changed] = _changed(messages[changed], text)
    return replace(request, messages=tuple(messages.values())) if messages else None


def _changed(message: TurnMessage, text: str) -> TurnMessage:
    payload = message.payload
    is_text = isinstance(payload.content, Text)
    return replace(message, payload=replace(payload, content=Text(text)) if is_text else replace(payload, caption=text))
