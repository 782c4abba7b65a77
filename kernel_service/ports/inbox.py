"""The store's port for accepted messages and for the people who are due."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from kernel_service.ports.commands import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.ports.messages import Answer, Message, MessageStatus
    from kernel_service.ports.progress import Need
    from kernel_service.ports.turns import TurnMessage


@dataclass(frozen=True, slots=True)
class Accepted:
    """A durable message. `status` and `turn_id` are current (a duplicate may have been answered long ago).

    `withdrawn` are the waiting messages, by seq, that a "stop" ended. A message that was sent before a "stop" and
    arrives after it is STOPPED from the start. `wants_media`: it waits for its file. `has_moved`: it carries another
    time zone than the person's earlier messages, which is stored with it. `plain` is the message as a turn answers it,
    unless it is a repeat, a command or a file. `owner` is the node that owned their kernel; empty: none, or not looked
    up.

    A repeat of a message whose person was deleted is STOPPED, has the number 0 and no person.
    """

    person_id: str
    seq: int
    duplicate: bool
    status: MessageStatus
    turn_id: str = ""
    command: Command = Command.NONE
    withdrawn: tuple[int, ...] = ()
    wants_media: bool = False
    has_moved: bool = False
    plain: TurnMessage | None = field(default=None, compare=False)
    owner: str = field(default="", compare=False)


class InboxStore(Protocol):
    async def accept(self, received: Message, *, now: float, max_pending: int) -> Accepted:
        """Resolve the person (people.identity), deduplicate and store the message.

        The bytes of a file are stored separately, or requested from the channel (storage/media/media.py).
        AlreadyExists MESSAGE_ID_REUSED, Exhausted TOO_MANY_PENDING or MEDIA_FULL, Conflict IDENTITY_CONFLICT.
        """
        ...

    async def answer_of(self, person_id: str, seq: int) -> Answer:
        """The current HandleMessage answer for the message. `duplicate` is False; replies only if INLINE and ended.

        NotFound PERSON_NOT_FOUND: the person was deleted, with the message.
        """
        ...

    async def ended_among(self, seqs: Sequence[int]) -> Sequence[int]:
        """The messages of these that have ended, or were deleted with their person."""
        ...

    async def needs_of(self, person_id: str, turn_id: str) -> Sequence[Need]:
        """The accounts and approvals that the turn needs and has not got."""
        ...

    async def last_route(self, person_id: str) -> tuple[str, str] | None:
        """The channel and address of the person's newest message."""
        ...

    async def due_people(
        self, *, now: float, limit: int, owner: str = "", adopts: Callable[[str], bool] = ...
    ) -> list[str]:
        """People with a message or an open turn that may run now, longest waiting first, whom this node may run.

        They are the people of `owner`, and those of no live node whom it `adopts` (default: all of them).
        """
        ...
