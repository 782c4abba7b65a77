"""The store's port for the outbox: replies leased to channels, and their receipts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from kernel_service.ports.messages import Reply, StoredReply
    from kernel_service.ports.states.part import PartState
    from kernel_service.ports.typing import TypingItem


SENDING_SECONDS = 20.0
"""How long a channel may still send after the stream that delivered a lease has ended, or after it gave up a call.

It notices the end within five seconds (gRPC's keepalive) and starts no send afterwards. A call to the Graph API that it
has started takes at most fifteen (`SEND_SECONDS` of the gateway).
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """A reply leased to a channel. `user_id` is the person's strongest current alias in the channel.

    `has_next`: another reply to the person waits until this one is settled.
    """

    reply: StoredReply
    person_id: str
    user_id: str = field(repr=False)
    address: str
    token: str
    expires_at: float
    sent_parts: list[int]
    parts: int
    split_version: str
    has_next: bool = False


@dataclass(frozen=True, slots=True)
class Puller:
    """An open stream of a channel's instance, at this node.

    It leases only while `generation` is that of its instance: a release of the instance's leases raises it, at any
    node.
    """

    channel: str
    instance: str
    node: str
    generation: int


@dataclass(frozen=True, slots=True)
class LeaseOffer:
    """An attached stream has credit: a transaction that stores a reply may lease it to this stream at once.

    `token` is the lease's, and of one offer only. `seconds`: how long the lease lasts.
    """

    puller: Puller
    token: str = field(repr=False)
    seconds: float


@dataclass(frozen=True, slots=True)
class StoredReplies:
    """The replies that a transaction stored. `lease`: one of them was leased under the offer.

    `is_pending`: others, or all, wait until a stream leases them.
    """

    replies: list[StoredReply]
    lease: Lease | None = None
    is_pending: bool = False


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

    `outcome` is the consequence of `failed`: RETRY and WINDOW_CLOSED (after `retry_after`, in seconds) or FAILED.
    """

    reply_id: str
    part: int
    parts: int
    channel_message_id: str = field(repr=False)
    state: PartState
    error_code: str
    outcome: Outcome = Outcome.FAILED
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class SettledAcks:
    """One result for each acknowledgement. `frees`: a stream may be able to lease another reply now."""

    results: list[AckResult]
    frees: bool


@dataclass(frozen=True, slots=True)
class ReceivedReceipts:
    """`recorded`: how many named a part of the channel. `frees`: a stream may be able to lease another reply now."""

    recorded: int
    frees: bool


class OfferedLease(Protocol):
    """The credit of a stream, reserved for one transaction. `offer` is None if no stream can take a reply now."""

    @property
    def offer(self) -> LeaseOffer | None: ...

    def stored(self, replies: StoredReplies) -> None:
        """The transaction is committed: the leased reply goes to its stream, and pending ones are polled."""
        ...


class ReplyDelivery(Protocol):
    """Takes replies to the streams of their channels, from the transactions that store them."""

    def offered_lease(self, person_id: str, channel: str, address: str) -> AbstractContextManager[OfferedLease]:
        """Reserve the credit for a reply to this person during the block."""
        ...

    def ready(self, channel: str) -> None:
        """The channel has pending replies."""
        ...


class OutboxStore(Protocol):
    async def notify(self, person_id: str, reply: Reply, *, channel: str, address: str, now: float) -> str:
        """Keep a notice from outside a turn. Returns its id."""
        ...

    async def open_puller(self, channel: str, instance: str, *, now: float) -> int:
        """A stream of the instance opens. Returns its generation."""
        ...

    async def lease(
        self, puller: Puller, addresses: Sequence[str], *, limit: int, seconds: float, now: float
    ) -> list[Lease] | None:
        """Lease pending replies if all earlier replies to the person are settled; empty addresses: all of the channel.

        The tokens identify the instance, for `release_leases`, and the node, for `expire_orphans`. None: the
        instance's leases were released since the stream opened, which must end.
        """
        ...

    async def leased_until(self, leases: Sequence[tuple[str, str]]) -> list[float | None]:
        """For each lease (reply id, token): when it ends, in the order given. None: it was settled or released."""
        ...

    async def typing_item(self, seq: int) -> TypingItem | None:
        """For this message. None: its turn has ended, or the person has no id in the channel now."""
        ...

    async def release(self, leases: Sequence[tuple[str, str]]) -> None:
        """Release leases (reply id, token) that never reached a channel: they are pending again at once."""
        ...

    async def release_offered(self, person_id: str, token: str) -> None:
        """As `release`, for the lease under an offer whose transaction, of this person, may be committed."""
        ...

    async def release_leases(self, channel: str, instance: str, in_hand: Sequence[str]) -> int:
        """Make the leases of an instance pending again, except those it is processing. Returns how many.

        Leases that are in progress when this is called, at any node, are made before it or not at all. The streams of
        the instance that are open by now lease nothing further.
        """
        ...

    async def extend_leases(
        self, channel: str, leases: Sequence[tuple[str, str]], *, until: float, now: float
    ) -> list[bool]:
        """Extend leases (reply id, token) to this time, unless they end later. Returns for each whether it is valid."""
        ...

    async def settle(self, channel: str, acks: Sequence[PartAck], *, now: float) -> SettledAcks: ...
    async def receive(self, channel: str, receipts: Sequence[PartReceipt], *, now: float) -> ReceivedReceipts: ...

    async def expire_leases(self, leases: Sequence[tuple[str, str]], *, until: float) -> None:
        """Shorten leases (reply id, token) to this time, unless they end earlier."""
        ...

    async def expire_orphans(self, *, until: float, now: float) -> list[str]:
        """Shorten the leases of dead nodes to this time, unless they end earlier.

        Leases of files end at once. Returns the channels that have such files.
        """
        ...

    async def retry_held(
        self, *, asked_recently: float, asked_before: float, made_after: float, now: float
    ) -> list[str]:
        """The held replies whose time to be tried again has come are pending. Returns their channels.

        One that was made before `made_after`, or whose person was invited after `asked_recently`, waits until they
        write. One whose person was invited between `asked_before` and `asked_recently` is looked at again.
        """
        ...

    async def sweep(
        self, *, grace: float, longest_grace: float, connected: Sequence[str], seconds: float, now: float
    ) -> int:
        """Expired leases become in-doubt, and in-doubt replies whose grace is over become pending. Returns how many.

        `connected` are the channels with a connected consumer for the last `seconds`. The grace of a reply counts only
        seconds with a connected consumer. It is over once these reach `grace` and the number of seconds without one, or
        once they reach `longest_grace`; and never before the lease has ended. A reply that was in-doubt too often
        becomes failed.
        """
        ...
