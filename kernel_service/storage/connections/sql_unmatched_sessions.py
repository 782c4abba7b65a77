"""Verifier sessions that arrived with a browser we had not sent to the vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, insert, select

from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.schema.connections import stray_batch, stray_session
from kernel_service.storage.schema.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.storage.engine.engine import Tx

_UNMATCHED = select(stray_session.c.seen_at).where(stray_session.c.digest == bindparam("of_digest"))
_ADD_UNMATCHED = insert(stray_session)
_ADD_BATCH = insert(stray_batch)
_BATCHES = select(stray_batch.c.digests).where(stray_batch.c.seen_at >= bindparam("after"))
_BYTES: Final = 16
"""Of each digest in a batch."""


class SqlUnmatchedSessions(SqlPort):
    """Fills `UnmatchedSessionStore`."""

    @reads
    def is_known(self, tx: Tx, session_digest: bytes) -> bool:
        return _is_known(tx, session_digest)

    @writes()
    def note(self, tx: Tx, session_digest: bytes, *, now: float) -> None:
        if not _is_known(tx, session_digest):
            tx.execute(_ADD_UNMATCHED, {"digest": session_digest, "seen_at": now})

    @writes()
    def note_many(self, tx: Tx, digests: Sequence[bytes], *, now: float) -> None:
        joined = b"".join(one[:_BYTES] for one in digests)
        tx.execute(_ADD_BATCH, {"id": new_id("sb", now), "digests": joined, "seen_at": now})

    @reads
    def noted_since(self, tx: Tx, at: float) -> list[bytes]:
        batches = tx.execute(_BATCHES, {"after": at}).scalars()
        return [batch[first : first + _BYTES] for batch in batches for first in range(0, len(batch), _BYTES)]


def _is_known(tx: Tx, session_digest: bytes) -> bool:
    return tx.execute(_UNMATCHED, {"of_digest": session_digest}).scalar_one_or_none() is not None
