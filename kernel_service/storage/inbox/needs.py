"""The accounts and approvals that a turn needs, for callers who watch its message at another node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select

from kernel_service.errors import Unreadable
from kernel_service.ports.progress import ApprovalNeeded, ConnectNeeded
from kernel_service.storage.approvals.sql_approvals import asked_in
from kernel_service.storage.connections import connections
from kernel_service.storage.outbox import replies
from kernel_service.storage.people.people import SURVIVOR
from kernel_service.storage.schema.outbox import reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_service.ports.messages import Link
    from kernel_service.ports.progress import Need
    from kernel_service.storage.engine.engine import Tx

_REPLIES: Final = (
    select(reply).where(reply.c.turn_id == bindparam("of"), reply.c.person_id == SURVIVOR).order_by(reply.c.seq)
)


def of_turn(tx: Tx, person_id: str, turn_id: str) -> list[Need]:
    """Those that are still open."""
    links = {link.url: link for link in _links(tx, person_id, turn_id)}
    needed = connections.of_person(tx, person_id) if links else []
    return [
        *(ConnectNeeded(one.toolkit, links[one.link]) for one in needed if one.link in links),
        *map(ApprovalNeeded.of, asked_in(tx, person_id, turn_id)),
    ]


def _links(tx: Tx, person_id: str, turn_id: str) -> Iterator[Link]:
    for row in tx.execute(_REPLIES, {"of": turn_id, "person": person_id}):
        try:
            link = replies.opened(tx, row).reply.link
        except Unreadable:
            continue
        if link is not None:
            yield link
