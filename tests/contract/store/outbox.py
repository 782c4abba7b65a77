"""Steps that the outbox's tests repeat: people who write, notices, acknowledgements, receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.ports.lease_tokens import new_token
from kernel_service.ports.messages import Alias, Message, Reply, ReplyMode
from kernel_service.ports.outbox import AckResult, LeaseOffer, Outcome, PartAck, PartReceipt, Puller
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.states.part import PartState

if TYPE_CHECKING:
    from kernel_service.ports.admin import ReplyView
    from kernel_service.ports.outbox import Lease
    from kernel_service.storage.store import Store

CHANNEL = "test"
ADDRESS = "desk"
NOW = 1_800_000_000.0
LEASE_SECONDS = 30.0
FOREVER = 1e9
INSTANCE = "gateway-1"
NODE = "n_1"


class Chat:
    """One person's chat and its store. `user_id` is a strong id unless `aliases` say otherwise.

    `sent`: how many messages the person has written under other ids, so that the next message is a new one.
    """

    def __init__(self, store: Store, user_id: str, *, address: str = ADDRESS, sent: int = 0) -> None:
        self.store = store
        self.user_id = user_id
        self.address = address
        self.person_id = ""
        self._messages = sent

    async def write(self, *aliases: Alias, now: float = NOW) -> Chat:
        """The person writes; afterwards `person_id` is their id."""
        self._messages += 1
        message = Message(
            self.user_id,
            f"m{self._messages}",
            Payload(Text("hello")),
            aliases=aliases,
            address=self.address,
            reply_mode=ReplyMode.OUTBOX,
        )
        self.person_id = (await self.store.inbox.accept(message, now=now, max_pending=100)).person_id
        return self

    async def tell(self, text: str, *, late: str = "", now: float = NOW) -> str:
        channel = self.user_id.partition(":")[0]
        return await self.store.outbox.notify(
            self.person_id, Reply(text, late=late), channel=channel, address=self.address, now=now
        )

    async def view(self, reply_id: str) -> ReplyView:
        views, _ = await self.store.admin.replies(self.person_id, limit=100, before="")
        return next(view for view in views if view.id == reply_id)


async def puller(store: Store, channel: str = CHANNEL, instance: str = INSTANCE, node: str = NODE) -> Puller:
    return Puller(channel, instance, node, await store.outbox.open_puller(channel, instance, now=NOW))


async def pull(
    store: Store,
    *addresses: str,
    now: float = NOW,
    limit: int = 100,
    channel: str = CHANNEL,
    instance: str = INSTANCE,
    node: str = NODE,
    seconds: float = LEASE_SECONDS,
) -> list[Lease]:
    """The leases of a new stream."""
    given = await puller(store, channel, instance, node)
    leases = await store.outbox.lease(given, addresses, limit=limit, seconds=seconds, now=now)
    assert leases is not None
    return leases


async def offer(
    store: Store, channel: str = CHANNEL, instance: str = INSTANCE, node: str = NODE, seconds: float = LEASE_SECONDS
) -> LeaseOffer:
    return LeaseOffer(await puller(store, channel, instance, node), new_token(instance, node), seconds)


async def lapse(
    store: Store, *, now: float, longest_grace: float = FOREVER, grace: float = FOREVER, connected: float = 0
) -> int:
    """`connected`: for how many seconds until now a consumer of the channel was connected. By default no doubt ends."""
    return await store.outbox.sweep(
        grace=grace, longest_grace=longest_grace, connected=[CHANNEL], seconds=connected, now=now
    )


async def pulled_texts(store: Store, *, now: float = NOW) -> list[str]:
    return [lease.reply.reply.text for lease in await pull(store, now=now)]


async def ack(
    store: Store,
    lease: Lease,
    outcome: Outcome = Outcome.SENT,
    *,
    part: int = 1,
    parts: int = 1,
    split_version: str = "1",
    token: str | None = None,
    channel_message_id: str = "",
    retry_after: float | None = None,
    error_code: str = "",
    now: float = NOW,
    channel: str = CHANNEL,
) -> AckResult:
    one = PartAck(
        lease.reply.id,
        part,
        parts,
        split_version,
        lease.token if token is None else token,
        outcome,
        channel_message_id,
        retry_after,
        error_code,
    )
    [result] = (await store.outbox.settle(channel, [one], now=now)).results
    return result


async def receipt(
    store: Store,
    reply_id: str,
    state: str,
    *,
    part: int = 1,
    parts: int = 1,
    channel_message_id: str = "",
    error_code: str = "",
    outcome: Outcome = Outcome.FAILED,
    retry_after: float | None = None,
    now: float = NOW,
    channel: str = CHANNEL,
) -> int:
    one = PartReceipt(reply_id, part, parts, channel_message_id, PartState(state), error_code, outcome, retry_after)
    return (await store.outbox.receive(channel, [one], now=now)).recorded
