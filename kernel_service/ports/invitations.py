"""The store's port for invitations: messages by which a channel asks a person to write, so that it may answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

ASKED_RECENTLY_SECONDS: Final = 23 * 3600.0
"""A person who was asked within this time is not asked again soon, so their replies wait until they write."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """Granted. `reminder`: the text of the reply, if that is a reminder; otherwise empty."""

    reminder: str = field(default="", repr=False)


class InvitationStore(Protocol):
    async def claim(
        self, channel: str, reply_id: str, claimer: str, *, since: float, repeat: float, now: float
    ) -> Invitation | None:
        """This claimer may invite the person of a reply that waits: no invitation at its address after `since`.

        A repeat by the same claimer, after the time `repeat`, gets the same answer. None: not granted.
        """
        ...

    async def last(self, channel: str, reply_id: str) -> float | None:
        """When the person of a reply that waits was invited last, at its address; None: never, or it does not wait."""
        ...

    async def withdraw(self, channel: str, reply_id: str, claimer: str, *, retry_at: float | None) -> None:
        """The invitation of this claimer was not sent: the next claim is free.

        `retry_at`: when the reply is leased again if it is held by now; None: once the person writes.
        """
        ...
