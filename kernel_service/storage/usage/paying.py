"""Records actual usage and removes its reservations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.storage.usage import reservations, spending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.messages import Usage
    from kernel_service.storage.engine.engine import Tx


def pay(tx: Tx, person_id: str, usage: Usage, settles: Sequence[str], now: float, **told: int) -> None:
    """Count the actual usage instead of its reservations, and the replies that were `told` (see `add_to_day`)."""
    spending.add_to_day(tx, person_id, usage, now, **told)
    if settles:
        reservations.settle(tx, settles)
