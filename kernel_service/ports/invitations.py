"""The store's port for invitations: messages by which a channel asks a person to write, so that it may answer."""

from __future__ import annotations

from typing import Protocol


class InvitationStore(Protocol):
    async def claim(
        self, channel: str, reply_id: str, claimer: str, *, since: float, repeat: float, now: float
    ) -> bool:
        """Whether this claimer may invite the person of a reply: no invitation at the reply's address after `since`.

        A repeat by the same claimer, after the time `repeat`, gets the same answer. False also for an unknown reply.
        """
        ...

    async def withdraw(self, channel: str, reply_id: str, claimer: str) -> None:
        """The invitation of this claimer was not sent: the next claim is free."""
        ...
