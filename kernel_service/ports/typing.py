"""The people who are being answered at the moment, for channels that show it. Nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kernel_service.ports.messages import Message
    from kernel_service.ports.turns import Turn


@dataclass(frozen=True, slots=True)
class TypingItem:
    """A person (their id in the channel) is being answered: this message, at this address of the channel."""

    user_id: str = field(repr=False)
    address: str
    message_id: str = field(repr=False)


class TypingStatus(Protocol):
    """None of these fails or waits."""

    def accepted(self, seq: int, message: Message) -> None:
        """A message is durable; its turn has not begun."""
        ...

    def begin(self, turn: Turn) -> None:
        """The turn's last message is being answered."""
        ...

    def end(self, turn: Turn) -> None:
        """The turn has ended, or waits. It may not have begun."""
        ...
