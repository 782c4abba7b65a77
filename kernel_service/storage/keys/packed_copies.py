"""Drops the packed copy of a history (see turns/packed_turns.py) when some of its items change or are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete

from kernel_service.storage.schema.kernels import packed_history

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx

_DROP = delete(packed_history).where(packed_history.c.person_id == bindparam("person"))


def drop(tx: Tx, person_id: str) -> None:
    tx.execute(_DROP, {"person": person_id})
