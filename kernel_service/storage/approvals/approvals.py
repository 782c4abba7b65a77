"""Requested approvals: stored with their prompt, decided once, by one button, before they expire.

There is one row per call. The calls of one prompt are decided together, or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from kernel_service.storable import to_json
from kernel_service.storage.schema.approvals import approval
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.approvals import ApprovalPrompt
    from kernel_service.ports.turns import Turn
    from kernel_service.storage.engine.engine import Tx

_mine = approval.c.person_id == bindparam("person")
OPEN = approval.c.decided_in.is_(None) & approval.c.withdrawn_at.is_(None)
_ADD = insert(approval)
_WITHDRAW = update(approval).where(_mine, OPEN).values(withdrawn_at=bindparam("at"))
_asking_the_same = select(approval.c.question_id).where(
    _mine, OPEN, approval.c.digest.in_(bindparam("same", expanding=True))
)
_REPLACE = _WITHDRAW.where(approval.c.question_id.in_(_asking_the_same))


def keep(tx: Tx, record: Turn, prompts: Sequence[ApprovalPrompt], now: float) -> None:
    """A call that is requested again has one valid prompt: earlier prompts with it have no effect."""
    for prompt in prompts:
        digests = [digest(tx, one.tool, one.arguments) for one in prompt.approvals]
        tx.execute(_REPLACE, {"person": record.person_id, "same": digests, "at": now})
        for number, (one, digested) in enumerate(zip(prompt.approvals, digests, strict=True)):
            kept = [one.arguments, one.account, number, len(digests), prompt.may_stand]
            row = {
                "id": one.id,
                "person_id": record.person_id,
                "turn_id": record.id,
                "question_id": prompt.id,
                "call_id": one.call_id,
                "tool": one.tool,
                "arguments": tx.cipher_of(record.person_id).seal_json(kept, place(approval.c.arguments, one.id)),
                "digest": digested,
                "created_at": now,
                "expires_at": one.expires_at,
            }
            tx.execute(_ADD, row)


def withdraw(tx: Tx, person_id: str, now: float) -> None:
    """Withdraw all open prompts of the person."""
    tx.execute(_WITHDRAW, {"person": person_id, "at": now})


def digest(tx: Tx, tool: str, arguments: dict[str, Any]) -> bytes:
    return tx.digests.payload(to_json([tool, arguments], sort_keys=True))
