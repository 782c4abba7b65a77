"""The sealing keys: their use and rotation, and sealing what an earlier release stored in clear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.storage.engine.units import SqlPort, reads
from kernel_service.storage.keys import binding, clear_ids, rotation, wraps

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from kernel_service.ports.keys import KeyUse, Rotated
    from kernel_service.storage.engine.engine import Tx


class SqlKeys(SqlPort):
    """Fills `KeyStore`."""

    @reads
    def secret_for(self, tx: Tx, purpose: str) -> bytes:
        return tx.digests.key_for(purpose)

    @reads
    def use(self, tx: Tx) -> tuple[list[KeyUse], int]:
        return wraps.used(tx.connection, tx.keyring.master_keys), binding.people_left(tx)

    def rotate(self) -> AsyncGenerator[Rotated]:
        return rotation.rotate(self._engine)

    def forget_opened(self) -> None:
        rotation.forget_opened(self._engine)

    async def seal_clear_ids(self) -> int:
        return await clear_ids.seal(self._engine)
