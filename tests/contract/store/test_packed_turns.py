"""The packed copy of a history: a kernel that is brought back from it is as one that has stayed in memory."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.util import await_only

from kernel_service.clock import DAY_SECONDS
from kernel_service.kernels.ended_turns import EndedTurns
from kernel_service.kernels.history import WINDOW_BYTES
from kernel_service.kernels.kernel import Kernel
from kernel_service.kernels.outline import begins
from kernel_service.ports.messages import Usage
from kernel_service.ports.retention import RetentionPolicy
from kernel_service.ports.turns import COMPACTION, FACTS, OUTSIDE, OWN, REASONING, SUMMARY, HistoryItem
from kernel_service.storage.engine.database_url import is_sqlite
from kernel_service.storage.people import leases
from kernel_service.storage.people.forgetting import forget_people
from kernel_service.storage.schema import schema
from kernel_service.storage.turns import packed_turns
from kernel_service.storage.turns.recent_items import PAGE
from tests.contract.store.owner import NOW, Owner, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.kernels.history import History
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

MODEL = "openai:m"
SAID = HistoryItem("input", {"role": "user", "content": "hello " * 20}, OWN)
ANSWERED = HistoryItem("output", {"id": "msg_1", "type": "message", "content": "done"}, MODEL)
SUMMARISED = ord("m")
MANY = [SAID, ANSWERED] * packed_turns.FEWEST
"""Items of a turn that are packed."""


class Person:
    """A person, and the kernel that their owner has kept in memory."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name, self.id, self.count = store, name, "", 0
        self.kernel: Kernel

    @classmethod
    async def of(cls, store: Store, name: str = "test:ann", now: float = NOW) -> Person:
        person = cls(store, name)
        person.id = await say(store, "first", name, now=now)
        person.kernel = await person.brought_back()
        await person.end(SAID, ANSWERED)
        return person

    async def brought_back(self, model: str = MODEL) -> Kernel:
        return Kernel(await self.store.kernels.activate(self.id, owner="one", model=model), NOW)

    @property
    def owner(self) -> Owner:
        return Owner(self.store, self.id, self.kernel.epoch)

    async def end(self, *items: HistoryItem) -> str:
        """End the open turn."""
        turn = await self.owner.open(NOW + 1)
        await self.owner.end(turn, *items)
        self.append(items)
        return turn.id

    async def turn(self, *items: HistoryItem) -> str:
        self.count += 1
        await say(self.store, f"m{self.count}", self.name, now=NOW + 1)
        return await self.end(*items)

    def append(self, items: Sequence[HistoryItem]) -> None:
        self.kernel.history.keep(self.kernel.history.ended.followed_by(items), [])

    async def check(self) -> None:
        """Bring the kernel back, which must be as the one in memory."""
        back = await self.brought_back()
        assert shown(back.history) == shown(self.kernel.history)
        self.kernel.epoch = back.epoch

    async def packed(self) -> int:
        """How many letters the stored copy has; 0: there is none."""
        found = await self.store.engine.read(lambda tx: packed_turns.stored(tx, self.id, MODEL))
        return len(found[0].outline)


def shown(history: History) -> tuple[bytes, list[bytes], int, list[HistoryItem]]:
    """All that a request shows, and what is decided by."""
    ended = history.ended
    return ended.outline, ended.lines(), ended.tokens, history.open_items()


@pytest.mark.parametrize("seed", range(8))
async def test_a_kernel_that_is_brought_back_has_the_bytes_of_one_in_memory(store: Store, seed: int) -> None:
    random = Random(seed)
    person = await Person.of(store)
    for _ in range(40):
        match random.choice(["turn"] * 9 + ["back"] * 6 + ["compact", "summary", "shrink", "reset", "other model"]):
            case "turn":
                await person.turn(*(each for _ in range(random.choice([1, 1, 4])) for each in turn_items(random)))
            case "compact":
                sealed = {"type": COMPACTION, "id": "cmp_1", "encrypted_content": str(random.random())}
                await person.turn(SAID, HistoryItem(COMPACTION, sealed, MODEL), ANSWERED)
            case "summary":
                await _summarise(person, await person.turn(SAID, ANSWERED))
            case "shrink":
                await _shrink(person, random)
            case "reset":
                await store.context.reset(person.id)
                person.kernel.history.keep(person.kernel.history.ended.emptied(), [])
            case "other model":
                await person.brought_back("openai:other")
                person.kernel = await person.brought_back()
            case "back":
                await person.check()
    await person.check()


async def _summarise(person: Person, turn_id: str) -> None:
    summary = HistoryItem(SUMMARY, {"role": "user", "content": "notes"}, OWN)
    epoch = person.kernel.epoch
    assert await person.store.context.keep_summary(person.id, epoch, turn_id, summary, usage=Usage(), now=NOW)
    person.append([summary])


async def _shrink(person: Person, random: Random) -> None:
    ended = person.kernel.history.ended
    place = random.choice([at for at in range(len(ended.outline)) if begins(ended.outline, at)] or [0])
    await person.store.context.shrink(person.id, person.kernel.epoch, keep=len(ended.outline) - place)
    person.kernel.history.keep(ended.since(place), [])


def turn_items(random: Random) -> list[HistoryItem]:
    """A turn with reasoning, several calls at once, results of any author, links and files."""
    said = {"role": "user", "content": "ü" * random.randrange(300)}
    items = [HistoryItem("input", said, random.choice([OWN, FACTS]))]
    for _ in range(random.choice([0, 0, 1, 2])):
        calls = [f"c_{random.randbytes(6).hex()}" for _ in range(random.choice([1, 1, 3]))]
        items += [_thought(random)] * random.randrange(2)
        items += [_output(random, type="function_call", call_id=each, name="look") for each in calls]
        results = [{"type": "function_call_output", "call_id": each, "output": "[]" * 40} for each in calls]
        items += [HistoryItem("result", each, random.choice([OWN, OUTSIDE])) for each in results]
        items += [HistoryItem("link", {"url": "https://example.org"})] * random.randrange(2)
    items += [_thought(random)] * random.randrange(2)
    return [*items, _output(random, type="message", role="assistant", content="word " * random.randrange(90))]


def _thought(random: Random) -> HistoryItem:
    data = {"id": "rs_1", "type": REASONING, "summary": [], "encrypted_content": random.randbytes(300).hex()}
    return HistoryItem(REASONING, data, MODEL)


def _output(random: Random, **data: Any) -> HistoryItem:
    return HistoryItem("output", {"id": f"o_{random.randbytes(6).hex()}"} | data, MODEL)


# --- what is read, and what is not ----------------------------------------------------------------------------------


async def test_packed_items_are_not_read_again(store: Store) -> None:
    person = await Person.of(store)
    await person.turn(*MANY)
    before = await person.brought_back()
    await store.engine.write(lambda tx: _damage(tx, schema.item, person.id))
    assert shown((await person.brought_back()).history) == shown(before.history)


async def test_few_items_are_not_packed_and_many_since_are_packed_again(store: Store) -> None:
    person = await Person.of(store)
    await person.check()
    assert await person.packed() == 0
    await person.turn(*MANY)
    await person.check()
    assert await person.packed() == 2 + len(MANY)
    await person.turn(SAID, ANSWERED)
    await person.check()
    assert await person.packed() == 2 + len(MANY)
    await person.turn(*MANY)
    await person.check()
    assert await person.packed() == 2 + len(MANY) + 2 + len(MANY)


async def test_much_since_the_copy_leaves_no_gap_behind_it(store: Store) -> None:
    """A model is shown little of what these turns hold, so nothing of them is left out of its context."""
    person = await Person.of(store)
    await person.turn(*MANY)
    await person.check()
    sealed = {"type": REASONING, "summary": [], "encrypted_content": "x" * (4 * WINDOW_BYTES // PAGE)}
    for _ in range(2):
        await person.turn(*[SAID, HistoryItem(REASONING, sealed, MODEL), ANSWERED] * PAGE)
    await person.check()


async def test_a_copy_keeps_no_more_than_can_be_shown(store: Store) -> None:
    person = await Person.of(store)
    said = HistoryItem("input", {"role": "user", "content": "x" * (WINDOW_BYTES // 100)}, OWN)
    for _ in range(8):
        await person.turn(*[said, ANSWERED] * 40)
        back = await person.brought_back()
        person.kernel.epoch = back.epoch
        kept = back.history.ended.lines()
        assert kept == person.kernel.history.ended.lines()[-len(kept) :]
        assert b'"role":"user"' in kept[0], "it begins with a message of the person"
        assert min(WINDOW_BYTES, sum(map(len, person.kernel.history.ended.lines()))) <= sum(map(len, kept))
        assert sum(map(len, kept)) < 2.1 * WINDOW_BYTES


async def test_items_of_the_open_turn_are_not_packed(store: Store) -> None:
    person = await Person.of(store)
    await say(store, "m2")
    await person.owner.append(await person.owner.open(), *MANY)
    person.kernel.history.keep(person.kernel.history.ended, MANY)
    await person.check()
    assert await person.packed() == 0


async def test_a_damaged_copy_is_not_used(store: Store) -> None:
    person = await Person.of(store)
    await person.turn(*MANY)
    await person.check()
    await store.engine.write(lambda tx: _damage(tx, schema.packed_history, person.id))
    await person.check()


async def test_a_damaged_item_since_leaves_out_its_turn_alone(store: Store) -> None:
    person = await Person.of(store)
    await person.turn(*MANY)
    await person.check()
    ended = person.kernel.history.ended
    await person.turn(SAID, ANSWERED)
    await store.engine.write(lambda tx: _damage(tx, schema.item, person.id, last=2))
    person.kernel.history.keep(ended, [])
    for _ in range(2):
        await person.check()


async def test_a_damaged_summary_leaves_out_its_turn_although_it_was_packed_before(store: Store) -> None:
    person = await Person.of(store)
    ended = person.kernel.history.ended
    turn_id = await person.turn(*MANY)
    await person.check()
    await _summarise(person, turn_id)
    await store.engine.write(lambda tx: _damage(tx, schema.item, person.id, last=1))
    person.kernel.history.keep(ended, [])
    for _ in range(2):
        await person.check()


def _damage(tx: Tx, table: Any, person_id: str, *, last: int = 0) -> None:
    """Of the items all, or the `last` ones."""
    change = update(table).where(table.c.person_id == person_id)
    if last:
        newest = select(func.max(table.c.seq)).where(table.c.person_id == person_id).scalar_subquery()
        change = change.where(table.c.seq > newest - last)
    tx.execute(change.values(data=b"damaged"))


# --- what ends the copy ---------------------------------------------------------------------------------------------


async def test_disowned_reasoning_is_not_shown_from_the_copy(store: Store) -> None:
    person = await Person.of(store)
    call = HistoryItem("output", {"type": "function_call", "call_id": "c1", "name": "look"}, MODEL)
    result = HistoryItem("result", {"type": "function_call_output", "call_id": "c1", "output": ""}, OWN)
    await person.turn(*MANY, SAID, _thought(Random(1)), call, result, ANSWERED)
    await person.check()
    assert person.kernel.history.ended.has_sealed
    await store.context.disown_reasoning(person.id, person.kernel.epoch, MODEL)
    assert not (await person.brought_back()).history.ended.has_sealed


async def test_retention_deletes_the_copy_with_the_items(store: Store) -> None:
    person = await Person.of(store)
    await person.turn(*MANY)
    await person.check()
    assert await person.packed()
    await forget_people(store.engine, RetentionPolicy(history_days=1), now=NOW + 9 * DAY_SECONDS)
    assert await _copies(store) == 0
    assert (await person.brought_back()).history.count == 0


async def test_a_kernel_brought_back_meanwhile_packs_no_summary_that_retention_deletes(
    two_nodes: tuple[Store, Store], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_sqlite(database_url):
        pytest.skip("one transaction after the other")
    leader, owner = two_nodes
    person = await Person.of(owner)
    await owner.engine.write(lambda tx: _make_older(tx, person.id))
    await owner.context.reset(person.id)
    await _summarise(person, await person.turn(SAID, ANSWERED))
    await person.turn(*MANY)
    outdate, back = leases.outdate, set[asyncio.Task[Kernel]]()

    def meanwhile(tx: Tx, person_id: str) -> bool:
        back.add(asyncio.ensure_future(person.brought_back()))
        await_only(asyncio.wait(back, timeout=0.3))  # it may wait for the end of this transaction
        return outdate(tx, person_id)

    monkeypatch.setattr(leases, "outdate", meanwhile)
    await forget_people(leader.engine, RetentionPolicy(history_days=1), now=NOW)
    await asyncio.gather(*back)
    assert back
    assert SUMMARISED not in (await person.brought_back()).history.ended.outline


def _make_older(tx: Tx, person_id: str) -> None:
    tx.execute(update(schema.item).where(schema.item.c.person_id == person_id).values(created_at=NOW - 9 * DAY_SECONDS))


async def test_merging_deletes_both_copies(store: Store) -> None:
    ann, bob = await Person.of(store), await Person.of(store, "test:bob", NOW + 1)
    for person in (ann, bob):
        await person.turn(*MANY)
        await person.check()
    await store.merging.merge(bob.id, ann.id, now=NOW + 1)
    assert await _copies(store) == 0
    assert (await ann.brought_back()).history.ended == EndedTurns(MODEL).followed_by(
        [SAID, ANSWERED, *MANY, SAID, ANSWERED._replace(origin="merged"), *_foreign(MANY)]
    )


async def _copies(store: Store) -> int:
    count = select(func.count()).select_from(schema.packed_history)
    return int(await store.engine.read(lambda tx: tx.execute(count).scalar_one()))


def _foreign(items: list[HistoryItem]) -> list[HistoryItem]:
    return [item if item.kind == "input" else item._replace(origin=f"merged:{item.origin}") for item in items]
