"""What people are asked before it is done: kept with the question, decided once, by one button, in time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from kernel_service.approvals.approval import Approval, Decision, Verdict
from kernel_service.storable import to_json
from kernel_service.storage import damage, leases
from kernel_service.storage.schema import approval
from kernel_service.storage.sealing import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.kernels.commands import Tap
    from kernel_service.kernels.store import TurnRecord
    from kernel_service.storage.engine import Tx

log = logging.getLogger(__name__)

_mine = approval.c.person_id == bindparam("person")
_open = approval.c.decided_in.is_(None) & approval.c.withdrawn_at.is_(None)
_ADD = insert(approval)
_ONE = select(approval).where(approval.c.id == bindparam("of"), _mine).with_for_update()
_DECIDE = (
    update(approval)
    .where(approval.c.id == bindparam("of"))
    .values(decided_in=bindparam("turn"), approved=bindparam("is_approved"))
)
_WITHDRAW = update(approval).where(_mine, _open).values(withdrawn_at=bindparam("at"))
_REPLACE = _WITHDRAW.where(approval.c.digest == bindparam("same"))


def keep(tx: Tx, record: TurnRecord, approvals: Sequence[Approval], now: float) -> None:
    """A call that is asked for anew has one question: the buttons of the earlier one do nothing any more."""
    for one in approvals:
        digest = _digest(tx, one.tool, one.arguments)
        tx.execute(_REPLACE, {"person": record.person_id, "same": digest, "at": now})
        kept = [one.arguments, one.account]
        sealed = tx.cipher_of(record.person_id).seal_json(kept, place(approval.c.arguments, one.id))
        row = {
            "id": one.id,
            "person_id": record.person_id,
            "turn_id": record.id,
            "call_id": one.call_id,
            "tool": one.tool,
            "arguments": sealed,
            "digest": digest,
            "created_at": now,
            "expires_at": one.expires_at,
        }
        tx.execute(_ADD, row)


def decide(tx: Tx, record: TurnRecord, epoch: int, tap: Tap, *, at: float) -> Decision:
    leases.fence(tx, record.person_id, epoch)
    row = tx.execute(_ONE, {"of": tap.approval_id, "person": record.person_id}).one_or_none()
    if row is None:
        return Decision(Verdict.UNKNOWN)
    if (against := _against(row, record, at)) is not None:
        return Decision(against)
    if (asked := _opened(tx, row)) is None:
        return Decision(Verdict.UNKNOWN)
    if row.decided_in is None:
        tx.execute(_DECIDE, {"of": row.id, "turn": record.id, "is_approved": tap.approved})
    return Decision(Verdict.APPROVED if tap.approved else Verdict.REFUSED, asked)


def _against(row: Row[Any], record: TurnRecord, at: float) -> Verdict | None:
    """Why a button does nothing. A turn that was cut decides as it did before."""
    if row.decided_in is not None:
        return None if row.decided_in == record.id else Verdict.USED
    if row.withdrawn_at is not None:
        return Verdict.WITHDRAWN
    return Verdict.LAPSED if at >= row.expires_at else None


def _opened(tx: Tx, row: Row[Any]) -> Approval | None:
    """None: it is not what the person was asked."""
    kept = damage.value_of(tx, row.person_id, row.arguments, place(approval.c.arguments, row.id))
    # Without an account: of before it was kept.
    arguments, account = kept if isinstance(kept, list) else (kept, "")
    if kept is None or _digest(tx, row.tool, arguments) != row.digest:
        log.error("approval damaged approval=%s person=%s", row.id, row.person_id)
        return None
    return Approval(row.id, row.call_id, row.tool, arguments, row.expires_at, account=account)


def withdraw(tx: Tx, person_id: str, now: float) -> None:
    """The person takes back whatever he was asked."""
    tx.execute(_WITHDRAW, {"person": person_id, "at": now})


def _digest(tx: Tx, tool: str, arguments: dict[str, Any]) -> bytes:
    return tx.digests.payload(to_json([tool, arguments], sort_keys=True))
