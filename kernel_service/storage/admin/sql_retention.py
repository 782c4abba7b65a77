"""Deletes rows past their retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.storage.admin import retention
from kernel_service.storage.engine.units import SqlPort

if TYPE_CHECKING:
    from kernel_service.ports.retention import RetentionPolicy
    from kernel_service.storage.engine.engine import Engine


class SqlRetention(SqlPort):
    """Fills `RetentionStore`."""

    def __init__(self, engine: Engine, policy: RetentionPolicy) -> None:
        super().__init__(engine)
        self._policy = policy

    async def forget_old(self, *, now: float) -> int:
        return await retention.forget_old(self._engine, self._policy, now=now)
