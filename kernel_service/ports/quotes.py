"""Quoted content, and the store's port to find it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Payload


@dataclass(frozen=True, slots=True)
class Quoted:
    """Content said earlier, and its time. `ours`: by the assistant, else by the person."""

    payload: Payload = field(repr=False)
    ours: bool
    at: float


class QuoteStore(Protocol):
    async def find(self, person_id: str, channel: str, address: str, message_id: str) -> Quoted | None:
        """The person's message, or the reply to them, with this id in this chat; None: unknown, or no longer kept."""
        ...
