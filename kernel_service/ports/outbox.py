"""The store's port for the out-door: replies leased to channels, and what became of them. As in store.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.messages import Reply, StoredReply
    from kernel_service.ports.states.part import PartState


SENDING_SECONDS = 20.0
"""How long a channel may still be sending once the stream that brought a lease has ended, or it gave up a call.

It notices the end within five seconds, as gRPC's keepalive is set, and begins nothing afterwards. A call to the Graph
API that it has begun takes fifteen at most (`SEND_SECONDS` of the gateway).
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """A reply leased to a channel; `user_id` is the person's strongest alias in the channel now."""

    reply: StoredReply
    person_id: str
    user_id: str = field(repr=False)
    address: str
    token: str
    expires_at: float
    sent_parts: list[int]
    parts: int
    split_version: str


class Outcome(StrEnum):
    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"
    WINDOW_CLOSED = "window_closed"
    UNKNOWN = "unknown"


class AckResult(StrEnum):
    RECORDED = "recorded"
    STALE = "stale"
    UNKNOWN = "unknown"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class PartAck:
    reply_id: str
    part: int
    parts: int
    split_version: str
    token: str
    outcome: Outcome
    channel_message_id: str = field(default="", repr=False)
    retry_after: float | None = None
    error_code: str = ""


@dataclass(frozen=True, slots=True)
class PartReceipt:
    """`state`: any but UNREPORTED. The part is found by its id, else by the channel's id.

    `outcome` says what follows `failed`: RETRY (after `retry_after`, in seconds), WINDOW_CLOSED or FAILED.
    """

    reply_id: str
    part: int
    parts: int
    channel_message_id: str = field(repr=False)
    state: PartState
    error_code: str
    occurred_at: float
    outcome: Outcome = Outcome.FAILED
    retry_after: float | None = None


class OutboxStore(Protocol):
    async def notify(self, person_id: str, reply: Reply, *, channel: str, address: str, now: float) -> str:
        """Keep a notice that no turn made; returns its id."""
        ...

    async def lease(
        self, channel: str, addresses: Sequence[str], *, instance: str = "", limit: int, seconds: float, now: float
    ) -> list[Lease]:
        """Lease pending replies whose earlier ones of the person are settled; empty addresses: all of the channel.

        The tokens tell the instance, for `release_leases`.
        """
        ...

    async def user_id_of(self, person_id: str, channel: str, address: str, answered: int) -> str:
        """The person's id in the channel now, for an answer to this message (its `seq`); empty: they have none."""
        ...

    async def release(self, leases: Sequence[tuple[str, str]]) -> None:
        """Take leases (reply id, token) back that never reached a channel: pending again at once."""
        ...

    async def release_leases(self, channel: str, instance: str, in_hand: Sequence[str]) -> int:
        """What is leased to the instance, but for the replies in its hands, is pending again; how many.

        Leases that are being made when this is called are made before it.
        """
        ...

    async def extend_leases(
        self, channel: str, leases: Sequence[tuple[str, str]], *, until: float, now: float
    ) -> list[bool]:
        """Leases (reply id, token) end then, if not later anyway; for each whether it is still good."""
        ...

    async def settle(self, channel: str, acks: Sequence[PartAck], *, now: float) -> list[AckResult]: ...
    async def receive(self, channel: str, receipts: Sequence[PartReceipt], *, now: float) -> int:
        """Keep receipts; how many named a part of this channel."""
        ...

    async def expire_leases(self, leases: Sequence[tuple[str, str]] | None, *, until: float) -> None:
        """Leases (reply id, token) end then, if not before. None: all that are under way."""
        ...

    async def sweep(
        self, *, grace: float, longest_grace: float, attended: Sequence[str], seconds: float, now: float
    ) -> int:
        """Lapsed leases become in doubt, and doubts that are over pending again; how many.

        `attended`: the channels that have been pulling for the last so many `seconds`. A doubt is over once its channel
        has been attended for `grace` seconds of it, and for at least as long as it was not; after `longest_grace`
        attended seconds in any case; and never before its lease has ended. What was in doubt too often becomes failed.
        """
        ...
