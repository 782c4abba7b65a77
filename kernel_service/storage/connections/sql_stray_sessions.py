"""Verifier sessions that arrived with a browser we had not sent to the vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select

from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.schema.connections import stray_session

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx

_STRAY = select(stray_session.c.seen_at).where(stray_session.c.digest == bindparam("of_digest"))
_ADD_STRAY = insert(stray_session)


class SqlStraySessions(SqlPort):
    """Fills `StraySessionStore`."""

    @reads
    def is_known(self, tx: Tx, session_digest: bytes) -> bool:
        return _is_known(tx, session_digest)

    @writes()
    def note(self, tx: Tx, session_digest: bytes, *, now: float) -> None:
        if not _is_known(tx, session_digest):
            tx.execute(_ADD_STRAY, {"digest": session_digest, "seen_at": now})


def _is_known(tx: Tx, session_digest: bytes) -> bool:
    return tx.execute(_STRAY, {"of_digest": session_digest}).scalar_one_or_none() is not None
