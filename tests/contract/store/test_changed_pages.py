"""How many pages of SQLite the units of a plain message change. A new index that they must write is seen here."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from kernel_service.ports.messages import Usage
from kernel_service.ports.outbox import Outcome, PartReceipt
from kernel_service.ports.states.part import PartState
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys
from tests.contract.store.outbox import CHANNEL, Chat, ack, pull
from tests.contract.store.owner import NOW, own, say
from tests.contract.store.test_turn_statements import counted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from kernel_service.storage.store import Store

ACCEPTED = 5
"""The messages, their last number, and three indexes: by their ids, by the person, of those to answer."""
OPENED = 6
"""The turns and their three indexes; the messages and their index by turns."""
REPORTED = 1
"""The parts."""
_HEADER, _FRAME = 32, 24 + 4096
"""Bytes of the log: before the pages, and for each of them (https://www.sqlite.org/fileformat2.html#walformat)."""


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[Store]:
    store = await open_store(sqlite_url, keys("test"))
    yield store
    await store.close()


@contextmanager
def pages(folder: Path) -> Iterator[list[int]]:
    """The number of pages that are written inside."""
    database, log = folder / "kernel.db", folder / "kernel.db-wal"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    written: list[int] = []
    yield written
    written.append((log.stat().st_size - _HEADER) // _FRAME)


async def test_acceptance_and_opening_change_few_pages(sqlite: Store, tmp_path: Path) -> None:
    owner = await own(sqlite, await say(sqlite, "m1"))
    await owner.end(await owner.open())
    with pages(tmp_path) as accepted:
        await say(sqlite, "m2")
    with pages(tmp_path) as opened:
        turn = await owner.open()
    await sqlite.turns.end(turn, owner.epoch, [], [], status=TurnStatus.COMPLETED, usage=Usage(), now=NOW)
    assert (accepted, opened) == ([ACCEPTED], [OPENED])


async def test_statements_on_replies_make_no_table_of_states(sqlite: Store, tmp_path: Path) -> None:
    with counted(sqlite) as seen:
        await (await Chat(sqlite, f"{CHANNEL}:ann").write()).tell("hello")
        [lease] = await pull(sqlite)
        await ack(sqlite, lease, Outcome.SENT, channel_message_id="w1")
    with closing(sqlite3.connect(tmp_path / "kernel.db")) as connection:
        for sql in {each for each in seen if each.startswith(("INSERT INTO reply", "UPDATE reply", "SELECT reply."))}:
            values = [None] * sql.count("?")
            steps = connection.execute(f"EXPLAIN {sql}", values).fetchall()
            # One without a key is of row numbers, for an UPDATE in two passes.
            assert not [key for _, step, _, _, _, key, *_ in steps if step == "OpenEphemeral" and key], sql


async def test_receipt_leaves_the_index_of_the_channels_ids_alone(sqlite: Store, tmp_path: Path) -> None:
    await (await Chat(sqlite, f"{CHANNEL}:ann").write()).tell("hello")
    [lease] = await pull(sqlite)
    await ack(sqlite, lease, Outcome.SENT, channel_message_id="w1")
    for state, name, changed in ((PartState.SENT, "w1", REPORTED), (PartState.READ, "w2", REPORTED + 1)):
        receipt = PartReceipt(lease.reply.id, 1, 1, name, state, error_code="")
        with pages(tmp_path) as written:
            assert (await sqlite.outbox.receive(CHANNEL, [receipt], now=NOW)).recorded == 1
        assert written == [changed], state
    quoted = PartReceipt("", 0, 0, "w2", PartState.PLAYED, error_code="")  # found by the name that it has now
    assert (await sqlite.outbox.receive(CHANNEL, [quoted], now=NOW)).recorded == 1
