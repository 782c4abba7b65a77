"""Each person's session at the tools' vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, or_, select, update

from kernel_service.errors import NotFound
from kernel_service.ports.deletion import RevocationKind
from kernel_service.storage.deleting import revocations
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.schema.kernels import kernel

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx

_SESSION = select(kernel.c.session_id, kernel.c.configuration).where(kernel.c.person_id == bindparam("person"))
_LOCKED = _SESSION.with_for_update()
# The row is locked before: the second of two writers finds the first one's session.
_KEEP_SESSION = (
    update(kernel)
    .where(
        kernel.c.person_id == bindparam("person"),
        or_(kernel.c.session_id == "", kernel.c.configuration != bindparam("configured")),
    )
    .values(session_id=bindparam("session"), configuration=bindparam("configured"))
)


class SqlSessions(SqlPort):
    """Fills `SessionStore`."""

    @reads
    def of_person(self, tx: Tx, person_id: str) -> tuple[str, str] | None:
        return _session_of(tx, person_id)

    async def keep(self, person_id: str, session_id: str, configuration: str) -> str:
        kept = await self._keep(person_id, session_id, configuration)
        if kept is None:
            raise NotFound("PERSON_NOT_FOUND", "no such person", person_id=person_id)
        return kept

    @writes(in_order_of="person_id")
    def _keep(self, tx: Tx, person_id: str, session_id: str, configuration: str) -> str | None:
        """None: the person was deleted. The vendor must remove the session that no turn will use."""
        before = tx.execute(_LOCKED, {"person": person_id}).one_or_none()
        tx.execute(_KEEP_SESSION, {"person": person_id, "session": session_id, "configured": configuration})
        kept = _session_of(tx, person_id)
        for unused in {session_id, before.session_id if before else ""} - {kept[0] if kept else ""}:
            revocations.note(tx, RevocationKind.SESSION, unused)
        return kept[0] if kept else None


def _session_of(tx: Tx, person_id: str) -> tuple[str, str] | None:
    row = tx.execute(_SESSION, {"person": person_id}).one_or_none()
    return (row.session_id, row.configuration) if row and row.session_id else None
