"""PostgreSQL's failure modes: a lost answer to COMMIT, an unavailable server; and several processes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import StoreUnavailable
from kernel_service.ports.messages import Message, Usage
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.turns import Turn
from kernel_service.storage.engine import postgres_connections
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.opening.postgres import DatabaseUnfitError
from tests.contract.store.conftest import keys
from tests.line import Line, line_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from kernel_service.storage.store import Store

NOW = 1_800_000_000.0


@pytest.fixture
async def line(postgres_url: str) -> AsyncIterator[tuple[Line, str]]:
    async with line_to(postgres_url) as line:
        yield line


@pytest.fixture
async def store(line: tuple[Line, str]) -> AsyncIterator[Store]:
    ended: list[str] = []
    opened = await open_store(line[1], keys("test"), end_process=ended.append)
    yield opened
    await opened.close()
    assert ended == []


async def say(store: Store, message_id: str) -> str:
    message = Message("test:ann", message_id, Payload(Text("hello")))
    return (await store.inbox.accept(message, now=NOW, max_pending=100)).person_id


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_lost_commit_counts_once(store: Store, line: tuple[Line, str], moment: str) -> None:
    person = await say(store, "m1")
    epoch = (await store.kernels.activate(person, owner="one")).epoch
    turn = await store.turns.next_turn(person, epoch, now=NOW, debounce=0)
    assert isinstance(turn, Turn)
    line[0].cut = moment
    await store.turns.append(turn, epoch, [], usage=Usage(input_tokens=7), now=NOW)
    assert (line[0].cuts, line[0].cut) == (1, "")
    assert await store.spending.spent_today(person, now=NOW) == 7


async def test_a_store_closes_while_a_commit_stays_in_doubt(
    store: Store, line: tuple[Line, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connections, "CLOSE_SECONDS", 0.1)
    await say(store, "m1")
    line[0].cut, line[0].down = "after", True
    saying = asyncio.create_task(say(store, "m2"))
    async with asyncio.timeout(10):
        while line[0].cut:
            await asyncio.sleep(0)
        await store.close()
    assert not saying.done(), "whether it is stored is not known"
    saying.cancel()


async def test_an_outage_is_reported_and_ends(
    store: Store, line: tuple[Line, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connections, "UNIT_SECONDS", 0.1)
    await say(store, "m1")
    line[0].down = True
    line[0].break_all()
    with pytest.raises(StoreUnavailable):
        await say(store, "m2")
    with pytest.raises(StoreUnavailable):
        await store.ping()
    line[0].down = False
    monkeypatch.undo()
    person = await say(store, "m3")
    _, waiting, _ = await store.admin.turns(person, limit=1, before="")
    assert len(waiting) == 2


async def test_several_processes_that_start_together_share_the_database(empty_postgres_url: str) -> None:
    stores = await asyncio.gather(*(open_store(empty_postgres_url, keys("test"), pool=2) for _ in range(3)))
    people = {await say(store, f"m{number}") for number, store in enumerate(stores)}
    assert len(people) == 1
    for store in stores:
        await store.close()


async def test_a_missing_server_is_reported(tmp_path: Path) -> None:
    with pytest.raises(
        DatabaseUnfitError, match=r"KERNEL_DATABASE_URL: cannot connect to the database: .*No such file"
    ):
        await open_store(f"postgresql://postgres@/none?host={tmp_path}", keys("test"))
