"""The promises of both engines: durable once acknowledged, grouped without effects on other units, sealed on disk."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from sqlalchemy import func, insert, select

from kernel_service.errors import NotFound, StoreUnavailable, Unreadable
from kernel_service.ports.messages import Alias, Link, Message, Reply, Usage
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.turns import CallRecord, HistoryItem, Turn
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema import schema
from tests.contract.store.conftest import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

NOW = 1_800_000_000.0


@pytest.fixture
def database_url(request: pytest.FixtureRequest, engine: str) -> str:
    """Without the template: the result of a first start is part of these tests."""
    url: str = request.getfixturevalue("sqlite_url" if engine == "sqlite" else "empty_postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def say(store: Store, user_id: str, words: str, message_id: str = "m1", *aliases: Alias) -> str:
    message = Message(user_id, message_id, Payload(Text(words)), aliases=aliases)
    return (await store.inbox.accept(message, now=NOW, max_pending=1000)).person_id


async def test_acknowledged_writes_survive_a_restart(database_url: str) -> None:
    store = await open_store(database_url, keys("test"))
    person = await say(store, "test:ann", "hello")
    epoch = (await store.kernels.activate(person, owner="one")).epoch
    turn = await store.turns.next_turn(person, epoch, now=NOW, debounce=0)
    assert isinstance(turn, Turn)
    item = HistoryItem("input", {"text": "hello"})
    await store.turns.append(turn, epoch, [item], usage=Usage(), now=NOW)
    await store.close()

    store = await open_store(database_url, keys("test"))
    assert await say(store, "test:ann", "hello") == person
    activation = await store.kernels.activate(person, owner="two")
    assert (activation.epoch, activation.history) == (epoch + 1, [item])
    resumed = await store.turns.next_turn(person, epoch + 1, now=NOW, debounce=0)
    assert isinstance(resumed, Turn)
    assert (resumed.id, resumed.messages) == (turn.id, turn.messages)
    await store.close()


async def test_a_master_key_can_be_replaced_but_not_forgotten(database_url: str) -> None:
    store = await open_store(database_url, keys("old"))
    ann = await say(store, "test:ann", "hello")
    await store.close()
    store = await open_store(database_url, keys("new", "old"))
    assert await store.people.ids_in(ann, "test") == [Alias("test:ann")]
    await store.close()
    with pytest.raises(Unreadable) as refused:
        await open_store(database_url, keys("new"))
    assert refused.value.reason == "SEALING_KEY_UNKNOWN"
    assert refused.value.metadata == {"key_id": "old"}


def mark(name: str) -> Callable[[Tx], int]:
    def unit(tx: Tx) -> int:
        row = {"id": name, "created_at": NOW, "data_key": b"", "key_id": ""}
        tx.execute(insert(schema.person), row)
        if name == "bad":
            raise NotFound("PERSON_NOT_FOUND", "no such person")
        return len(name)

    return unit


def count(tx: Tx) -> int:
    return int(tx.execute(select(func.count()).select_from(schema.person)).scalar_one())


async def test_a_failing_unit_is_rolled_back_alone(store: Store) -> None:
    names = [f"p{number}" for number in range(40)]
    names[7:7] = ["bad", "p1"]
    results = await asyncio.gather(
        *(store.engine.write(mark(name), "one writer") for name in names), return_exceptions=True
    )
    assert await store.engine.read(count) == 40
    assert isinstance(results[7], NotFound)
    # The second `p1` breaks a unique key.
    assert isinstance(results[8], Exception)
    assert [result for result in results if isinstance(result, int)] == [len(f"p{n}") for n in range(40)]


async def test_units_of_one_person_commit_in_order(store: Store) -> None:
    seqs = await asyncio.gather(
        *(
            store.inbox.accept(Message("test:ann", f"m{n}", Payload(Text(""))), now=NOW, max_pending=1000)
            for n in range(150)
        )
    )
    assert [one.seq for one in seqs] == sorted(one.seq for one in seqs)


async def test_no_call_succeeds_after_the_close(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreUnavailable):
        await say(store, "test:ann", "hello")


async def test_message_content_is_not_in_clear_on_disk(store: Store, database_url: str, engine: str) -> None:
    canaries = [f"canary-{n}-zebra" for n in range(7)]
    person = await say(store, f"test:{canaries[0]}", canaries[1], "m1", Alias(f"test:{canaries[2]}", strong=False))
    epoch = (await store.kernels.activate(person, owner="one")).epoch
    turn = await store.turns.next_turn(person, epoch, now=NOW, debounce=0)
    assert isinstance(turn, Turn)
    items = [HistoryItem("output", {"text": canaries[3]})]
    reply = Reply(canaries[4], link=Link(canaries[5], canaries[6]))
    await store.turns.append(turn, epoch, items, usage=Usage(), started=CallRecord("c1", "tool", NOW), now=NOW)
    await store.outbox.notify(person, reply, channel="test", address="desk", now=NOW)
    dump = await (sqlite_dump(database_url) if engine == "sqlite" else postgres_dump(database_url))
    assert person.encode() in dump
    written = [canary for canary in canaries if canary.encode() in dump or canary.encode().hex().encode() in dump]
    assert written == []


async def sqlite_dump(url: str) -> bytes:
    path = Path(url.removeprefix("sqlite:///"))
    return b"".join(each.read_bytes() for each in path.parent.iterdir())


async def postgres_dump(url: str) -> bytes:
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        rows = [await connection.fetch(f'SELECT row_to_json(t)::text FROM "{name}" t') for (name,) in tables]  # noqa: S608
    finally:
        await connection.close()
    return "\n".join(row[0] for table in rows for row in table).encode()
