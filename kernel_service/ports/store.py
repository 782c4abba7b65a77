"""The store as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kernel_service.ports.admin import OperatorStore
from kernel_service.ports.inbox import InboxStore

if TYPE_CHECKING:
    from kernel_service.ports.kernels import KernelStore
    from kernel_service.ports.messages import Alias
    from kernel_service.ports.spending import SpendingStore


class Store(InboxStore, OperatorStore, Protocol):
    """The one durable store. What fills it also fills people.people.PeopleStore and tools.connections.ConnectionStore.

    Who is asked for by the id of somebody who was merged into another is answered as that other.
    """

    async def aliases_of(self, person_id: str) -> list[Alias]: ...
    async def session_of(self, person_id: str) -> tuple[str, str] | None:
        """The person's session id at Composio and its configuration; None before their first."""
        ...

    @property
    def kernels(self) -> KernelStore: ...
    @property
    def spending(self) -> SpendingStore: ...

    async def forget_old(self, *, now: float) -> int:
        """Delete what has been kept long enough, in small steps; how many rows."""
        ...

    async def seal_clear_ids(self) -> int:
        """Seal the message ids that an earlier release kept in clear, in small steps; how many rows were looked at."""
        ...

    async def ping(self) -> None: ...
    async def close(self) -> None: ...
