"""What a message quotes, and the store's port to find it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Payload


@dataclass(frozen=True, slots=True)
class Quoted:
    """What was said earlier, and when. `ours`: by the assistant, else by the person."""

    payload: Payload = field(repr=False)
    ours: bool
    at: float


class QuoteStore(Protocol):
    async def find(self, person_id: str, channel: str, address: str, message_id: str) -> Quoted | None:
        """What the person said, or was told, under this id in this chat; None: not known, or not any more."""
        ...
