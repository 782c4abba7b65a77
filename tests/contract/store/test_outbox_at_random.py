"""Gateways that crash, networks that answer late or never: every reply arrives, at its person, in order."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from kernel_service.ports.messages import Reply, ReplyMode, Usage
from kernel_service.ports.outbox import AckResult, Outcome
from kernel_service.ports.turns import TurnStatus
from tests.contract.store.outbox import ADDRESS, NOW, Chat, ack, lapse, offer, pull, receipt
from tests.contract.store.owner import own, say
from tests.contract.store.seen_transitions import check_transitions, watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kernel_service.ports.outbox import Lease
    from kernel_service.storage.store import Store

REPLIES = 5
GRACE = 20.0
# Messages to this person are accepted or rejected at once; the others' outcomes are often in doubt.
RELIABLE = {"test:0", "test:1"}
PARTS = {text: 1 + text % 3 for text in range(REPLIES)}


class Network:
    """The messages that reached people, and the gateways' progress. `known`: parts reported to the store."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.chance = random.Random(seed)
        self.now = self.swept_at = NOW
        self.leases: list[Lease] = []
        self.arrived: dict[str, list[tuple[int, int]]] = {}
        self.receipts: list[tuple[str, int, int]] = []
        self.known: set[tuple[str, int]] = set()
        self.doubted: set[str] = set()

    async def step(self) -> None:
        self.now += self.chance.random() * 3
        await self.chance.choice(self.actions())()

    def actions(self) -> list[Callable[[], Awaitable[None]]]:
        return [self.pull, self.send, self.send, self.send, self.report, self.lapse]

    async def pull(self) -> None:
        for lease in await pull(self.store, now=self.now, limit=self.chance.randint(1, 4)):
            self.got(lease)

    def got(self, lease: Lease) -> None:
        assert [one for one in self.leases if one.person_id == lease.person_id and self._runs(one)] == []
        assert lease.sent_parts == sorted(part for reply_id, part in self.known if reply_id == lease.reply.id)
        self.leases.append(lease)

    def _runs(self, lease: Lease) -> bool:
        """A lease ends at its time, or when a receipt reports the last part as delivered."""
        parts = PARTS[int(lease.reply.reply.text)]
        settled = all((lease.reply.id, part) in self.known for part in range(1, parts + 1))
        return lease.expires_at >= self.now and not settled

    async def send(self) -> None:
        """Send a lease's parts until one fails; a crash in between acknowledges nothing."""
        if not self.leases:
            return
        lease = self.leases.pop(self.chance.randrange(len(self.leases)))
        parts = PARTS[int(lease.reply.reply.text)]
        for part in range(1, parts + 1):
            if part not in lease.sent_parts and not await self._send_part(lease, part, parts):
                return

    async def _send_part(self, lease: Lease, part: int, parts: int) -> bool:
        doubtful = 0 if lease.user_id in RELIABLE else 1
        outcomes = [Outcome.SENT, Outcome.RETRY, Outcome.UNKNOWN, None]
        outcome = self.chance.choices(outcomes, [8, 1, doubtful, doubtful])[0]
        if outcome is Outcome.RETRY:
            await ack(self.store, lease, outcome, part=part, parts=parts, retry_after=1, now=self.now)
            return False
        if outcome is Outcome.SENT or self.chance.random() < 0.5:
            self.arrived.setdefault(lease.user_id, []).append((int(lease.reply.reply.text), part))
            self.receipts.append((lease.reply.id, part, parts))
        if outcome is not Outcome.SENT:
            self.doubted.add(lease.user_id)
        if outcome is None:
            return False
        result = await ack(self.store, lease, outcome, part=part, parts=parts, now=self.now)
        if outcome is Outcome.SENT:
            assert result is AckResult.RECORDED
            self.known.add((lease.reply.id, part))
        return outcome is Outcome.SENT

    async def report(self) -> None:
        if not self.receipts:
            return
        reply_id, part, parts = self.receipts.pop(self.chance.randrange(len(self.receipts)))
        state = self.chance.choice(["sent", "delivered", "read"])
        assert await receipt(self.store, reply_id, state, part=part, parts=parts, now=self.now) == 1
        self.known.add((reply_id, part))

    async def lapse(self) -> None:
        self.doubted.update(lease.user_id for lease in self.leases if lease.expires_at < self.now)
        self.leases = [lease for lease in self.leases if lease.expires_at >= self.now]
        connected, self.swept_at = self.now - self.swept_at, self.now
        await lapse(self.store, now=self.now, connected=connected, grace=GRACE)


class Answers(Network):
    """Replies of turns that end meanwhile, with or without a stream that has credit."""

    def __init__(self, store: Store, seed: int) -> None:
        super().__init__(store, seed)
        self.to_say = {f"test:{number}": list(range(REPLIES)) for number in range(4)}
        self.leased_at_once = 0

    def actions(self) -> list[Callable[[], Awaitable[None]]]:
        return [*super().actions(), self.answer]

    async def answer(self) -> None:
        if not (waiting := [user_id for user_id, texts in self.to_say.items() if texts]):
            return
        user_id = self.chance.choice(waiting)
        text = str(self.to_say[user_id].pop(0))
        person = await say(self.store, text, user_id, reply_mode=ReplyMode.OUTBOX, address=ADDRESS, now=self.now)
        owner = await own(self.store, person)
        offered = await offer(self.store) if self.chance.random() < 0.7 else None
        ended = await self.store.turns.end(
            await owner.open(self.now), owner.epoch, [], [Reply(text)],
            status=TurnStatus.COMPLETED, usage=Usage(), offer=offered, now=self.now,
        )  # fmt: skip
        if ended.stored.lease is not None:
            self.leased_at_once += 1
            self.got(ended.stored.lease)


async def arrived_in_order(network: Network, people: dict[str, str]) -> None:
    wanted = [(text, part) for text, parts in PARTS.items() for part in range(1, parts + 1)]
    for user_id, person_id in people.items():
        views, _ = await network.store.admin.replies(person_id, limit=100, before="")
        assert {view.state for view in views} == {"sent"}
        # a resent reply repeats parts, and never overtakes
        assert list(dict.fromkeys(network.arrived[user_id])) == wanted
    undoubted = RELIABLE - network.doubted
    assert undoubted
    assert [network.arrived[user_id] for user_id in undoubted] == [wanted] * len(undoubted)


@pytest.mark.parametrize("seed", range(3))
async def test_answers_that_are_leased_at_once_arrive_in_order(store: Store, seed: int) -> None:
    await watch(store)
    network = Answers(store, seed)
    people = {user_id: (await Chat(store, user_id).write()).person_id for user_id in network.to_say}
    for person_id in people.values():  # the first message is not to be answered
        owner = await own(store, person_id)
        turn = await owner.open(NOW)
        await store.turns.end(turn, owner.epoch, [], [], status=TurnStatus.COMPLETED, usage=Usage(), now=NOW)
    for _ in range(700):
        await network.step()
    await arrived_in_order(network, people)
    assert network.leased_at_once
    assert ("leased", "sent") in (await check_transitions(store))["reply"]


@pytest.mark.parametrize("seed", range(3))
async def test_every_reply_arrives_at_its_person_in_order(store: Store, seed: int) -> None:
    await watch(store)
    chats = [await Chat(store, f"test:{number}").write() for number in range(4)]
    for text in range(REPLIES):
        for chat in chats:
            await chat.tell(str(text))
    network = Network(store, seed)
    for _ in range(600):
        await network.step()
    await arrived_in_order(network, {chat.user_id: chat.person_id for chat in chats})
    seen = await check_transitions(store)
    assert {("pending", "leased"), ("leased", "sent"), ("leased", "in_doubt")} <= seen["reply"]
