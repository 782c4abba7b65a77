"""Invitations: a channel pays for each, so a person gets one a day, across all of its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.clock import DAY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.invitations import Invitation, InvitationStore

RETRY_DAYS: Final = 3
"""How long after a reply was made its invitation is tried."""
REPEAT_SECONDS: Final = 60.0
"""How long a process that lost the answer to its claim may repeat it. A call lasts a few seconds."""


class Invitations:
    """clock: epoch seconds."""

    def __init__(self, store: InvitationStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    async def claim(self, channel: str, reply_id: str, claimer: str) -> Invitation | None:
        """The right of this claimer of the channel to invite the person who waits for a reply; None: not granted."""
        now = self._clock()
        times = {"since": now - DAY_SECONDS, "repeat": now - REPEAT_SECONDS, "now": now}
        return await self._store.claim(channel, reply_id, claimer, **times)

    async def wait(self, channel: str, reply_id: str) -> float | None:
        """Seconds until a claim may be granted that is not granted now; None: the reply does not wait."""
        asked_at = await self._store.last(channel, reply_id)
        return None if asked_at is None else max(0.0, asked_at + DAY_SECONDS - self._clock())

    async def withdraw(self, channel: str, reply_id: str, claimer: str, retry_after: float | None = None) -> None:
        """The claimed invitation was not sent.

        `retry_after`: seconds until the reply is leased again; None: once the person writes.
        """
        retry_at = None if retry_after is None else self._clock() + retry_after
        await self._store.withdraw(channel, reply_id, claimer, retry_at=retry_at)
