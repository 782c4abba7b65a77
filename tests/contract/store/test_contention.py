"""Locks that another process holds: the units that meet them are repeated, and no other unit fails."""

from __future__ import annotations

import asyncio
import time
import zlib
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import bindparam, insert, select, text, update

from kernel_service.errors import StoreUnavailable
from kernel_service.ports.nodes import Node
from kernel_service.storage.engine import postgres, postgres_connections, postgres_notices
from kernel_service.storage.opening.migrating import SCHEMA_NUMBER
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema.people import chat
from tests.contract.store.conftest import keys
from tests.line import line_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

    Unit = Callable[[Tx], Any]

ANN = "ann"
"""All units of one key have the same writer."""
_ADD = insert(chat)
_NOTE = update(chat).where(chat.c.address == bindparam("of")).values(link=chat.c.link + bindparam("note"))
_LINK = select(chat.c.link).where(chat.c.address == bindparam("of"))
_HOLD = "SELECT FROM chat WHERE address = $1 FOR UPDATE"


def add(tx: Tx, row: dict[str, str]) -> None:
    tx.execute(_ADD, row)


def note(word: str, *addresses: str) -> Unit:
    """Locks the rows in the given order."""

    def unit(tx: Tx) -> str:
        for address in addresses:
            tx.execute(_NOTE, {"of": address, "note": word})
        return word

    return unit


def companions(count: int) -> list[str]:
    """Other keys of the same writer."""
    writer = zlib.crc32(ANN.encode()) % postgres.WRITERS
    others = (str(number) for number in range(1000))
    return [key for key in others if zlib.crc32(key.encode()) % postgres.WRITERS == writer][:count]


async def link(store: Store, address: str) -> str:
    found: str = await store.engine.read(lambda tx: tx.execute(_LINK, {"of": address}).scalar_one())
    return found


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    opened = await open_store(postgres_url, keys("test"))
    for address in ("r1", "r2", "r3"):
        row = {"channel": "test", "address": address, "link": ""}
        await opened.engine.write(partial(add, row=row))
    yield opened
    await opened.close()


@asynccontextmanager
async def another_process(url: str) -> AsyncIterator[asyncpg.Connection]:
    """In an open transaction."""
    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN")
    yield connection
    await connection.close()


@pytest.mark.parametrize("others", [0, 3])
async def test_a_unit_blocked_by_a_held_lock_is_repeated_until_it_is_free(
    store: Store, postgres_url: str, others: int
) -> None:
    async with another_process(postgres_url) as holder:
        await holder.fetch(_HOLD, "r1")
        first = asyncio.ensure_future(store.engine.write(note("a", "r1"), ANN))
        successor = asyncio.ensure_future(store.engine.write(note("b", "r2"), ANN))
        free = [asyncio.ensure_future(store.engine.write(note(key, "r3"), key)) for key in companions(others)]
        assert await asyncio.gather(*free) == companions(others)
        assert not first.done()
        assert not successor.done()
        await holder.execute("COMMIT")
    assert (await first, await successor) == ("a", "b")
    assert (await link(store, "r1"), await link(store, "r2")) == ("a", "b")


async def test_a_lock_that_stays_is_reported_after_the_time_limit(
    store: Store, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connections, "UNIT_SECONDS", 0.1)
    async with another_process(postgres_url) as holder:
        await holder.fetch(_HOLD, "r1")
        for write in (store.engine.write, store.engine.write_apart):
            with pytest.raises(StoreUnavailable):
                await write(note("a", "r1"))
    assert await link(store, "r1") == ""


async def test_a_repeated_unit_keeps_the_order_of_its_key(store: Store, postgres_url: str) -> None:
    async with another_process(postgres_url) as holder:
        await holder.fetch(_HOLD, "r1")
        words = "abcdefgh"
        writing = [asyncio.ensure_future(store.engine.write(note(word, "r1"), ANN)) for word in words]
        await asyncio.wait(writing, timeout=0.2)
        await holder.execute("COMMIT")
        await asyncio.gather(*writing)
    assert await link(store, "r1") == words


@pytest.mark.parametrize("apart", [False, True])
async def test_the_victim_of_a_deadlock_is_repeated(store: Store, postgres_url: str, *, apart: bool) -> None:
    write = store.engine.write_apart if apart else store.engine.write
    async with another_process(postgres_url) as other:
        await other.fetch(_HOLD, "r2")
        both = asyncio.ensure_future(write(note("a", "r1", "r2")))
        await until_it_waits(store)
        await other.fetch(_HOLD, "r1")  # a circle, until one of the two gives way
        await other.execute("COMMIT")
        assert await both == "a"
    assert (await link(store, "r1"), await link(store, "r2")) == ("a", "a")


@pytest.mark.parametrize("apart", [False, True])
async def test_a_process_that_is_frozen_in_a_transaction_loses_its_locks(
    store: Store, postgres_url: str, monkeypatch: pytest.MonkeyPatch, *, apart: bool
) -> None:
    """Its connection stays open, so only the server can end the transaction. The process then repeats the unit.

    It was frozen for longer than its units wait for the server, which was there all the time.
    """
    monkeypatch.setitem(postgres_connections._SETTINGS, "idle_in_transaction_session_timeout", "50ms")
    runs: list[int] = []

    def unit(tx: Tx) -> None:
        runs.append(1)
        note(f"run {len(runs)}", "r1")(tx)
        if len(runs) == 1:
            time.sleep(0.2)  # freezes the whole loop
        note("", "r1")(tx)

    frozen = await open_store(postgres_url, keys("test"), pool=2)
    monkeypatch.setattr(postgres_connections, "UNIT_SECONDS", 0.15)
    write = frozen.engine.write_apart if apart else frozen.engine.write
    behind = asyncio.ensure_future(frozen.engine.write(lambda tx: None))
    await write(unit)
    await behind
    await frozen.close()
    assert await link(store, "r1") == "run 2"


async def test_a_heartbeat_waits_for_no_other_unit(
    store: Store, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres_connections._SETTINGS, "lock_timeout", "1h")
    waiting = await open_store(postgres_url, keys("test"), pool=2)
    await waiting.nodes.join(Node("k_1", "", SCHEMA_NUMBER), alone=False)
    async with another_process(postgres_url) as holder:
        await holder.fetch(_HOLD, "r1")
        blocked = asyncio.ensure_future(waiting.engine.write(note("a", "r1")))
        await until_it_waits(store)
        assert await waiting.nodes.beat("k_1", []) is not None
        assert not blocked.done()
        await holder.execute("COMMIT")
    await blocked
    await waiting.close()


async def test_a_heartbeat_that_is_given_up_does_not_wait_for_the_network(postgres_url: str) -> None:
    async with line_to(postgres_url) as (line, url):
        store = await open_store(url, keys("test"), pool=2)
        await store.nodes.join(Node("k_1", "", SCHEMA_NUMBER), alone=False)
        line.go_silent()
        beat = asyncio.ensure_future(store.nodes.beat("k_1", []))
        await asyncio.wait([beat], timeout=0.05)
        beat.cancel()
        done, _ = await asyncio.wait([beat], timeout=1)
        line.speak()
        assert done
        await store.close()


async def test_a_store_closes_though_the_network_is_silent(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_connections, "CLOSE_SECONDS", 0.05)
    monkeypatch.setattr(postgres_notices, "ANSWER_SECONDS", 0.05)
    async with line_to(postgres_url) as (line, url):
        store = await open_store(url, keys("test"), pool=4)
        await store.nodes.join(Node("k_1", "", SCHEMA_NUMBER), alone=False)
        line.go_silent()
        alone = asyncio.ensure_future(store.nodes.beat("k_1", []))
        await asyncio.wait([alone], timeout=0.05)
        async with asyncio.timeout(4):
            await store.close()
        line.speak()
        await asyncio.gather(alone, return_exceptions=True)


_WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def until_it_waits(store: Store) -> None:
    while not await store.engine.read(lambda tx: tx.execute(_WAITS).scalar_one()):
        await asyncio.sleep(0)
