"""Wrong codes, counted on the attempts that await the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Integer, bindparam, update

from kernel_service.ports.connect_attempts import AWAITING_CODE
from kernel_service.storage.schema.connections import connect_attempt

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from kernel_service.storage.engine.engine import Tx


AWAITS_CODE: ColumnElement[bool] = connect_attempt.c.state.in_([state.value for state in AWAITING_CODE])
_COUNT_WRONG = (
    update(connect_attempt)
    .where(connect_attempt.c.person_id == bindparam("person"), AWAITS_CODE)
    .values(wrong_codes=connect_attempt.c.wrong_codes + bindparam("more", type_=Integer))
)


def count(tx: Tx, person_id: str, more: int) -> None:
    """Count them on each attempt of the person that awaits its code."""
    tx.execute(_COUNT_WRONG, {"person": person_id, "more": more})
