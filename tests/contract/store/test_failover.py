"""The primary is killed and its synchronous standby takes over: what was accepted is there, and each message once."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Final

import asyncpg
import pytest

from kernel_service.errors import StoreUnavailable
from kernel_service.storage.engine.postgres_server import LOST
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys
from tests.contract.store.owner import say
from tests.replicated_postgres import replicated_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_service.storage.store import Store
    from tests.replicated_postgres import Pair

PEOPLE: Final = 6
ENOUGH: Final = 60
"""Messages of all people together, before the failover and again after it."""


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with replicated_pair() as running:
        yield running


class Writers:
    """People who write one message after another, each until it is accepted, as a channel delivers again after 503."""

    def __init__(self, *stores: Store) -> None:
        self.stores = stores
        self.accepted: dict[str, int] = dict.fromkeys((f"test:{number}" for number in range(PEOPLE)), 0)
        self.refused = 0
        self._more = asyncio.Event()
        self._ends = False

    async def write(self) -> None:
        await asyncio.gather(*map(self._write, self.accepted))

    async def _write(self, user_id: str) -> None:
        for number in itertools.count(1):
            for store in itertools.cycle(self.stores):
                try:
                    await say(store, f"m{number}", user_id)
                except StoreUnavailable:
                    self.refused += 1
                else:
                    break
            self.accepted[user_id] = number
            self._more.set()
            if self._ends:
                return

    async def until_more(self, count: int) -> None:
        wanted = sum(self.accepted.values()) + count
        while sum(self.accepted.values()) < wanted:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 30)

    def end(self) -> None:
        self._ends = True


async def kept(url: str) -> list[int]:
    """Numbers of messages, one for each person."""
    connection = await asyncpg.connect(url)
    try:
        return [row["n"] for row in await connection.fetch("SELECT count(*) AS n FROM message GROUP BY person_id")]
    finally:
        await connection.close()


async def test_nothing_accepted_is_lost(pair: Pair) -> None:
    stores = [await open_store(pair.url, keys("test"), pool=4) for _ in range(2)]
    missed = asyncio.Semaphore(0)
    for number, store in enumerate(stores):
        assert store.engine.notices is not None
        store.engine.notices.receive(f"k_{number}", lambda _: None, missed.release)
    writers = Writers(*stores)
    writing = asyncio.create_task(writers.write())
    await writers.until_more(ENOUGH)
    await pair.fail_over()
    await writers.until_more(ENOUGH)
    writers.end()
    await writing
    assert sorted(await kept(pair.standby.url)) == sorted(writers.accepted.values())
    for _ in range(4):  # each listens again
        await asyncio.wait_for(missed.acquire(), 10)
    for store in stores:
        await store.close()
    with pytest.raises(LOST):
        await kept(pair.primary.url)
