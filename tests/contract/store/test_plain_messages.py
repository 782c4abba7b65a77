"""A plain message of a known person costs two statements; every other message is recognised as before."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from kernel_service.ports.messages import Alias, Message, MessageStatus
from kernel_service.ports.outbox import Outcome
from kernel_service.ports.payloads import Payload, Text
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys
from tests.contract.store.outbox import Chat, ack, pull
from tests.contract.store.people import NOW, strong, weak, write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from kernel_service.storage.store import Store

ANN = (strong("ann"), weak("+1"))
PLAIN = ["SELECT", "INSERT"]
_FRAME = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "PRAGMA")


@contextmanager
def traced() -> Iterator[list[str]]:
    """The statements of each connection that opens inside, as SQLite runs them."""
    statements: list[str] = []

    def trace(connection: Any, _: object) -> None:
        connection.set_trace_callback(statements.append)

    event.listen(Pool, "connect", trace)
    try:
        yield statements
    finally:
        event.remove(Pool, "connect", trace)


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[tuple[Store, list[str]]]:
    with traced() as statements:
        store = await open_store(sqlite_url, keys("test"))
        yield store, statements
        await store.close()


def _verbs(statements: list[str]) -> list[str]:
    verbs = [statement.split(maxsplit=1)[0] for statement in statements]
    return [verb for verb in verbs if verb not in _FRAME]


@pytest.mark.parametrize("ids", [ANN[:1], ANN[1:], ANN, (*ANN, strong("ann-parent"))])
async def test_a_plain_message_of_a_known_person_costs_two_statements(
    sqlite: tuple[Store, list[str]], ids: tuple[Alias, ...]
) -> None:
    store, statements = sqlite
    first = await write(store, *ids)
    statements.clear()
    second = await write(store, *ids, text="how are you?")
    assert _verbs(statements) == PLAIN
    assert (second.person_id, second.seq) == (first.person_id, first.seq + 1)


async def test_a_held_reply_costs_one_more_statement_and_is_released(sqlite: tuple[Store, list[str]]) -> None:
    store, statements = sqlite
    ann = await Chat(store, "test:ann").write()
    await ann.tell("news")
    [lease] = await pull(store)
    await ack(store, lease, Outcome.WINDOW_CLOSED)
    assert not await pull(store)
    statements.clear()
    await ann.write()
    assert _verbs(statements) == [*PLAIN, "UPDATE"]
    assert [again.reply.id for again in await pull(store)] == [lease.reply.id]


async def test_a_person_of_another_scope_with_the_same_id_is_not_met(store: Store) -> None:
    here, there = [await write(store, strong("ann", scope)) for scope in ("here", "there")]
    again = await write(store, strong("ann", "there"))
    assert again.person_id == there.person_id != here.person_id


async def test_more_ids_than_one_statement_looks_up(store: Store) -> None:
    many = tuple(strong(f"ann-{number}") for number in range(9))
    first = await write(store, *many)
    for ids in (many, many[:4], many[3:]):
        assert (await write(store, *ids)).person_id == first.person_id


async def test_a_message_that_waited_for_a_merge_is_the_survivors(store: Store, database_url: str) -> None:
    """The statement read the other rows before the merge, and its lock waited for it."""
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer")
    stays, gone = [await write(store, strong(name)) for name in ("ann", "bob")]
    said = Message("test:ann", "same", Payload(Text("hello")))
    kept = await store.inbox.accept(said, now=NOW, max_pending=9)
    merging = await asyncpg.connect(database_url)
    try:
        async with merging.transaction():
            for table in ("alias", "message"):
                await merging.execute(
                    f"UPDATE {table} SET person_id = $1 WHERE person_id = $2",  # noqa: S608 - our own names
                    stays.person_id,
                    gone.person_id,
                )
            again = replace(said, user_id="test:bob")
            accepting = asyncio.create_task(store.inbox.accept(again, now=NOW, max_pending=9))
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while not await merging.fetchval(waits):
                await asyncio.sleep(0)
    finally:
        await merging.close()
    accepted = await accepting
    assert (accepted.person_id, accepted.seq, accepted.duplicate) == (kept.person_id, kept.seq, True)
    assert accepted.status is MessageStatus.ACCEPTED
