"""Histories past their retention or size limit, and people who never came back."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from kernel_service.errors import LeaseLost
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.messages import Reply, Usage
from kernel_service.ports.retention import RetentionPolicy
from kernel_service.ports.turns import COMPACTION, SUMMARY, HistoryItem, TurnStatus
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema import schema
from tests.contract.store.conftest import keys
from tests.contract.store.lives import DAILY
from tests.contract.store.owner import NOW, history, own, say
from tests.contract.store.people import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

HOUR, DAY = 3600.0, 86_400
LATER = NOW + 100 * DAY


@asynccontextmanager
async def keeping(url: str, **how: int) -> AsyncIterator[Store]:
    store = await open_store(url, keys("test"), retention=RetentionPolicy(**how))
    try:
        yield store
    finally:
        await store.close()


async def talk(store: Store, name: str, text: str, *, now: float, size: int = 0) -> str:
    """A turn with a question, a call, its result and an answer."""
    person = await say(store, text, f"test:{name}", now=now)
    owner = await own(store, person)
    turn = await owner.open(now)
    items = [HistoryItem("input", {"says": text, "much": "x" * size}), *(HistoryItem("output", {"n": n}) for n in "ab")]
    await store.turns.append(turn, owner.epoch, items, usage=Usage(), now=now)
    usage = Usage(input_tokens=1, model_calls=1)
    answer = [HistoryItem("output", {"answers": text})]
    await store.turns.end(turn, owner.epoch, answer, [Reply("yes")], status=TurnStatus.COMPLETED, usage=usage, now=now)
    return person


async def said(store: Store, person: str) -> list[str]:
    return [item.data["says"] for item in await history(store, person) if item.kind == "input"]


async def rows(store: Store, person: str) -> dict[str, int]:
    def count(tx: Tx) -> dict[str, int]:
        found: dict[str, Any] = {}
        for table in schema.metadata.sorted_tables:
            if "person_id" in table.c:
                query = select(func.count()).select_from(table).where(table.c.person_id == person)
                found[table.name] = tx.execute(query).scalar_one()
        return {name: many for name, many in found.items() if many}

    return await store.engine.read(count)


async def settled(store: Store, *, now: float) -> None:
    """The replies were sent; rows with a month's retention are deleted a month later."""
    await store.engine.write(lambda tx: tx.execute(schema.reply.update().values(state="sent", settled_at=now)))


async def test_by_default_everything_is_kept(database_url: str) -> None:
    async with keeping(database_url) as store:
        ann = await talk(store, "ann", "one", now=NOW)
        await store.retention.forget_old(now=NOW + 10_000 * DAY)
        assert await said(store, ann) == ["one"]


async def test_a_history_is_cut_by_days_and_between_turns(database_url: str) -> None:
    async with keeping(database_url, history_days=10) as store:
        for day in range(5):
            ann = await talk(store, "ann", f"day{day}", now=NOW + day * 4 * DAY)
        await store.retention.forget_old(now=NOW + 16 * DAY)
        assert await said(store, ann) == ["day2", "day3", "day4"]
        assert (await history(store, ann))[0].kind == "input"
        await talk(store, "ann", "next", now=NOW + 16 * DAY)
        assert await said(store, ann) == ["day2", "day3", "day4", "next"]
        await store.retention.forget_old(now=NOW + 200 * DAY)
        assert await said(store, ann) == []
        await talk(store, "ann", "after", now=NOW + 200 * DAY)
        assert await said(store, ann) == ["after"], "the next message is not hidden with it"


async def test_a_history_is_cut_once_a_day(database_url: str) -> None:
    """Each cut makes the model read the rest again."""
    async with keeping(database_url, history_days=1) as store:
        for hour in range(3):
            ann = await talk(store, "ann", f"hour{hour}", now=NOW + hour * HOUR)
        kept = set()
        for hour in range(24):
            await store.retention.forget_old(now=NOW + DAY + hour * HOUR)
            kept.add(len(await said(store, ann)))
        assert kept == {3, 0}


@pytest.mark.parametrize("kind", [COMPACTION, SUMMARY])
async def test_a_summary_is_deleted_with_the_oldest_items_that_it_stands_for(database_url: str, kind: str) -> None:
    essence = HistoryItem(kind, {"of": "day0 and day1"}, {COMPACTION: "openai:m", SUMMARY: "own"}[kind])
    async with keeping(database_url, history_days=10) as store:
        for day in range(3):
            ann = await talk(store, "ann", f"day{day}", now=NOW + day * 4 * DAY)
        person = await say(store, "essence", "test:ann", now=NOW + 9 * DAY)
        owner = await own(store, person)
        await owner.end(await owner.open(NOW + 9 * DAY), essence, now=NOW + 9 * DAY)
        assert (await store.kernels.activate(ann, owner="one", model="openai:m")).history == [essence]
        await store.retention.forget_old(now=NOW + 9 * DAY)
        assert (await store.kernels.activate(ann, owner="one", model="openai:m")).history == [essence]
        await store.retention.forget_old(now=NOW + 11 * DAY)
        assert await said(store, ann) == ["day1", "day2"]
        assert essence not in await history(store, ann)


async def test_a_running_kernel_reads_the_history_again_after_a_cut(database_url: str) -> None:
    async with keeping(database_url, history_days=10) as store:
        for day in range(2):
            ann = await talk(store, "ann", f"day{day}", now=NOW + day * 4 * DAY)
        epoch = (await store.kernels.activate(ann, owner="one", model="openai:m")).epoch
        essence = HistoryItem(SUMMARY, {"of": "day0 and day1"}, "own")
        await store.retention.forget_old(now=NOW + 9 * DAY)
        await store.context.keep_summary(ann, epoch, "t", None, usage=Usage(), now=NOW)
        await store.retention.forget_old(now=NOW + 11 * DAY)
        with pytest.raises(LeaseLost):
            await store.context.keep_summary(ann, epoch, "t", essence, usage=Usage(), now=NOW)


async def test_an_open_turn_keeps_the_history_as_it_is(database_url: str) -> None:
    async with keeping(database_url, history_days=1, history_bytes=1) as store:
        ann = await talk(store, "ann", "one", now=NOW)
        await say(store, "two", "test:ann", now=NOW + 5 * DAY)
        owner = await own(store, ann)
        turn = await owner.open(NOW + 5 * DAY)
        await store.retention.forget_old(now=NOW + 5 * DAY)
        assert await said(store, ann) == ["one"]
        await store.turns.end(
            turn, (await own(store, ann)).epoch, [], [Reply("x")],
            status=TurnStatus.COMPLETED, usage=Usage(), now=NOW + 5 * DAY,
        )  # fmt: skip
        await store.retention.forget_old(now=NOW + 5 * DAY)
        assert await said(store, ann) == []


async def test_a_history_is_cut_by_its_bytes_oldest_first(database_url: str) -> None:
    async with keeping(database_url, history_bytes=12_000) as store:
        for number in range(5):
            ann = await talk(store, "ann", f"n{number}", now=NOW + number, size=5_000)
            bob = await talk(store, "bob", f"n{number}", now=NOW + number)
        await store.retention.forget_old(now=NOW + 10)
        assert await said(store, ann) == ["n3", "n4"]
        assert len(await said(store, bob)) == 5


async def test_a_person_who_never_came_back_is_deleted(database_url: str) -> None:
    async with keeping(database_url, inactive_days=60) as store:
        ann, bob = await talk(store, "ann", "one", now=NOW), await talk(store, "bob", "one", now=NOW + 50 * DAY)
        await settled(store, now=NOW)
        await store.retention.forget_old(now=NOW + 59 * DAY)
        assert await said(store, ann) == ["one"]
        await store.retention.forget_old(now=LATER)
        await store.retention.forget_old(now=LATER)
        assert await rows(store, ann) == {}
        assert await said(store, bob) == ["one"]
        assert await store.people.person_of("test:ann", now=LATER) is None
        assert await say(store, "again", "test:ann", now=LATER) != ann


async def test_a_paused_schedule_is_deleted_with_the_person(database_url: str) -> None:
    async with keeping(database_url, inactive_days=60) as store:
        ann = await talk(store, "ann", "one", now=NOW)
        await settled(store, now=NOW)
        await store.schedules.create(ann, DAILY, request_id="r", now=NOW)
        paused = schema.schedule.update().values(next_due_at=None, paused_at=NOW)
        await store.engine.write(lambda tx: tx.execute(paused))
        for _ in range(2):
            await store.retention.forget_old(now=LATER)
        assert await rows(store, ann) == {}
        assert await store.people.person_of("test:ann", now=LATER) is None


@pytest.mark.parametrize("what", ["account", "reply", "message", "merged", "schedule"])
async def test_a_person_with_references_loses_only_the_messages(database_url: str, what: str) -> None:
    async with keeping(database_url, inactive_days=60) as store:
        ann = await talk(store, "ann", "one", now=NOW)
        await settled(store, now=NOW)
        if what == "account":
            await connect(store, ann, ConnectionStatus.ACTIVE)
        elif what == "reply":
            await store.engine.write(lambda tx: tx.execute(schema.reply.update().values(state="in_doubt")))
        elif what == "message":
            await say(store, "two", "test:ann", now=NOW)
        elif what == "schedule":
            once = replace(DAILY, cron="", at=LATER + DAY)
            await store.schedules.create(ann, once, request_id="r", now=NOW)
        else:
            bob = await talk(store, "bob", "two", now=NOW + 1)
            await settled(store, now=NOW)
            assert (await store.merging.merge(ann, bob, now=NOW)).person_id == ann
        for _ in range(2):
            await store.retention.forget_old(now=LATER)
        assert await said(store, ann) == (["one"] if what == "message" else [])
        assert await store.people.person_of("test:ann", now=LATER) == ann
        if what == "account":
            assert [each.status for each in await store.connections.of_person(ann)] == [ConnectionStatus.ACTIVE]


async def test_a_long_history_is_cut_in_bounded_steps_and_a_long_turn_at_once(database_url: str) -> None:
    async with keeping(database_url, history_days=10) as store:
        ann = await say(store, "many", "test:ann")
        for number, many in enumerate((700, 450, 450)):
            owner = await own(store, ann)
            turn = await owner.open()
            await owner.append(turn, *[HistoryItem("input", {"says": "x"})] * many)
            await owner.end(turn)
            await say(store, f"after{number}", "test:ann")
        await owner.end(await owner.open())
        left = [len(await said(store, ann))]
        for _ in range(3):
            await store.retention.forget_old(now=NOW + 20 * DAY)
            left.append(len(await said(store, ann)))
        assert left == [1600, 900, 450, 0]
