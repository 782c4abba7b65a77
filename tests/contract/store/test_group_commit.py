"""Units that share a commit, or have one alone; the writer's connection; units that no caller awaits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from kernel_service.errors import NotFound, StoreUnavailable
from kernel_service.storage.engine import gathering, postgres_transactions
from kernel_service.storage.engine.database_url import is_sqlite
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema.people import chat
from tests.contract.store.conftest import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

    Unit = Callable[[Tx], Any]

ANN = "ann"
"""All units of one person have the same writer."""
_ADD = insert(chat)
_ADDRESSES = select(chat.c.address).order_by(chat.c.address)
AN_HOUR = 3600.0


def add(address: str) -> Unit:
    def unit(tx: Tx) -> str:
        tx.execute(_ADD, {"channel": "test", "address": address, "link": ""})
        return address

    return unit


def refused(tx: Tx) -> None:
    add("of a refused unit")(tx)
    raise NotFound("PERSON_NOT_FOUND", "no such person")


async def kept(store: Store) -> list[str]:
    return await store.engine.read(lambda tx: tx.execute(_ADDRESSES).scalars())


@pytest.fixture
async def commands(store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands of the writer's transactions, one entry for each round trip on PostgreSQL."""
    sent: list[str] = []

    def trace(tx: Tx) -> None:
        driver: Any = tx.connection.connection.driver_connection
        driver.set_trace_callback(lambda sql: None if sql.startswith(("INSERT", "--")) else sent.append(sql))

    if is_sqlite(database_url):
        await store.engine.write(trace)
        sent.clear()
        return sent
    send = postgres_transactions.Transactions._send

    def note(self: postgres_transactions.Transactions, command: str) -> str:
        sent.append("BEGIN IMMEDIATE" if command.startswith("BEGIN; INSERT INTO commit_mark") else command)
        return send(self, command)

    monkeypatch.setattr(postgres_transactions.Transactions, "_send", note)
    return sent


async def test_a_unit_alone_is_the_transaction(store: Store, commands: list[str]) -> None:
    assert await store.engine.write(add("a")) == "a"
    assert commands == ["BEGIN IMMEDIATE", "COMMIT"]


async def test_a_unit_that_fails_alone_is_rolled_back(store: Store, commands: list[str]) -> None:
    with pytest.raises(NotFound):
        await store.engine.write(refused)
    assert commands == ["BEGIN IMMEDIATE", "ROLLBACK"]
    await store.engine.write(add("a"))
    assert await kept(store) == ["a"]


async def test_units_that_come_together_share_a_commit(store: Store, commands: list[str]) -> None:
    names = ["a", "b", "c"]
    assert await asyncio.gather(*(store.engine.write(add(name), ANN) for name in names)) == names
    assert commands == ["BEGIN IMMEDIATE", "COMMIT"]
    assert await kept(store) == names


async def test_a_group_with_a_unit_that_fails_runs_again_with_savepoints(store: Store, commands: list[str]) -> None:
    units = [add("a"), refused, add("b")]
    results = await asyncio.gather(*(store.engine.write(unit, ANN) for unit in units), return_exceptions=True)
    assert [results[0], type(results[1]), results[2]] == ["a", NotFound, "b"]
    first, rollback, begin, *savepoints, commit = [each for command in commands for each in command.split("; ")]
    assert (first, rollback, begin, commit) == ("BEGIN IMMEDIATE", "ROLLBACK", "BEGIN IMMEDIATE", "COMMIT")
    unit, undone, kept_ = "SAVEPOINT unit", "ROLLBACK TO SAVEPOINT unit", "RELEASE SAVEPOINT unit"
    assert savepoints == [unit, kept_, unit, undone, kept_, unit, kept_]
    assert await kept(store) == ["a", "b"]


async def test_a_group_whose_last_unit_fails_keeps_the_others(store: Store) -> None:
    results = await asyncio.gather(
        *(store.engine.write(unit, ANN) for unit in (add("a"), add("b"), refused)), return_exceptions=True
    )
    assert results[:2] == ["a", "b"]
    assert await kept(store) == ["a", "b"]


@pytest.mark.parametrize("others", [0, 1])
async def test_a_unit_that_lost_a_race_runs_once_more(store: Store, others: int) -> None:
    runs: list[int] = []

    def racing(tx: Tx) -> int:
        runs.append(1)
        add("mine")(tx)
        if len(runs) == 1:
            add("mine")(tx)
        return len(runs)

    units = [racing, *(add(f"other {n}") for n in range(others))]
    assert (await asyncio.gather(*(store.engine.write(unit, ANN) for unit in units)))[0] == 2
    assert await kept(store) == ["mine", "other 0"][: 1 + others]


@pytest.mark.parametrize("others", [0, 1])
async def test_a_unit_whose_key_is_taken_fails_after_two_runs(store: Store, others: int) -> None:
    await store.engine.write(add("taken"))
    units = [add("taken"), *(add(f"other {n}") for n in range(others))]
    results = await asyncio.gather(*(store.engine.write(unit, ANN) for unit in units), return_exceptions=True)
    assert isinstance(results[0], IntegrityError)
    assert results[1:] == ["other 0"][:others]
    assert await kept(store) == ["other 0", "taken"][1 - others :]


def connection_id(tx: Tx) -> int:
    return id(tx.connection.connection.driver_connection)


async def test_the_writers_connection_is_kept(store: Store) -> None:
    first = await store.engine.write(connection_id, ANN)
    with pytest.raises(NotFound):
        await store.engine.write(refused, ANN)
    assert await store.engine.write(connection_id, ANN) == first


async def test_a_unit_no_caller_awaits_is_committed(store: Store) -> None:
    ran, loop = asyncio.Event(), asyncio.get_running_loop()

    def unit(tx: Tx) -> None:
        add("a")(tx)
        loop.call_soon_threadsafe(ran.set)

    store.engine.write_behind(unit, ANN)
    await ran.wait()
    await store.engine.write(connection_id, ANN)  # commits after it
    assert await kept(store) == ["a"]


async def test_an_unawaited_unit_shares_the_next_commit_and_comes_first(
    store: Store, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "LINGER_SECONDS", AN_HOUR)
    store.engine.write_behind(add("a"), ANN)
    await asyncio.sleep(0)
    assert await store.engine.write(lambda tx: tx.execute(_ADDRESSES).scalars(), ANN) == ["a"]
    assert commands.count("BEGIN IMMEDIATE") == 1


async def test_an_unawaited_unit_that_fails_is_logged(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gathering, "LINGER_SECONDS", AN_HOUR)
    store.engine.write_behind(refused, ANN)
    await store.engine.write(add("a"), ANN)
    assert await kept(store) == ["a"]
    assert [record.getMessage() for record in caplog.records] == ["storage: a unit that no caller awaits failed"]


async def test_closing_commits_the_unawaited_units(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "LINGER_SECONDS", AN_HOUR)
    store.engine.write_behind(add("a"))
    await store.close()
    with pytest.raises(StoreUnavailable):
        store.engine.write_behind(add("b"))
    again = await open_store(database_url, keys("test"))
    assert await kept(again) == ["a"]
    await again.close()


@pytest.mark.parametrize("pool", [2, 3, 4])
async def test_a_small_pool_serves_readers_beside_the_writers(postgres_url: str, pool: int) -> None:
    store = await open_store(postgres_url, keys("test"), pool=pool)
    await asyncio.gather(*(store.engine.write(add(f"{n:02}"), f"person {n}") for n in range(20)))
    reads = (kept(store) for _ in range(5))
    apart = (store.engine.write_apart(add(f"apart {n}")) for n in range(3))
    assert len((await asyncio.gather(*reads, *apart))[0]) >= 20
    await store.close()


async def test_a_read_on_postgresql_is_one_round_trip_for_each_statement(postgres_url: str) -> None:
    commands: list[str] = []

    def listen(tx: Tx) -> None:
        driver: Any = tx.connection.connection.driver_connection
        # It logs commands, and no prepared statement.
        driver.add_query_logger(lambda record: commands.append(record.query))

    store = await open_store(postgres_url, keys("test"), pool=2)
    await store.engine.read(listen)
    await kept(store)
    await store.engine.read(lambda tx: [tx.execute(_ADDRESSES).all(), tx.execute(_ADDRESSES).all()])
    assert commands == []
    await store.close()
