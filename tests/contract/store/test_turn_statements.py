"""The statements of a plain turn, from its opening to its end. A change that adds one is seen here."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import pytest

from kernel_service.errors import LeaseLost, StoreUnavailable
from kernel_service.ports.interruptions import Stopped
from kernel_service.ports.messages import Message, Reply, ReplyMode, Usage
from kernel_service.ports.payloads import Image, Payload, Reaction, Referral, Text
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.engine.postgres import WRITERS
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys
from tests.contract.store.owner import ASKS, HELLO, NOW, own, say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Connection

    from kernel_service.ports.payloads import Content
    from kernel_service.storage.store import Store

OPENING = 3
"""The lease with the waiting messages, the turn, its messages."""
END = 7
"""The lease with the first waiting message; the items, the turn, the usage of the person and of all, the message, the
reply."""
SPENT = Usage(input_tokens=7, output_tokens=2, model_calls=1)


@contextmanager
def counted(store: Store) -> Iterator[list[str]]:
    """The statements that run inside. One for many rows counts once."""
    seen: list[str] = []

    def note(_connection: Connection, sql: str, *_: object) -> None:
        seen.append(sql)

    observers = store.engine.statements.observers
    observers.append(note)
    try:
        yield seen
    finally:
        observers.remove(note)


async def test_plain_turn_takes_few_statements(store: Store) -> None:
    owner = await own(store, await say(store, "m1", reply_mode=ReplyMode.OUTBOX))
    with counted(store) as opening:
        turn = await owner.open()
    with counted(store) as end:
        ended = await store.turns.end(
            turn, owner.epoch, [HELLO, ASKS], [Reply("done")], status=TurnStatus.COMPLETED, usage=SPENT, now=NOW
        )
    assert len(opening) == OPENING, "\n\n".join(opening)
    assert len(end) == END, "\n\n".join(end)
    assert not ended.waits


SENT_AT_NS = int(NOW - 3) * 10**9 + 120_000_000


@pytest.mark.parametrize(
    "odd",
    [
        Payload(Text("Grüße 🙂\u2028\n"), sent_at_ns=SENT_AT_NS),
        Payload(Text("a\x00b \ufeff🙂\u2028" * 3), quoted_message_id="q1", forwarded=True, sent_at_ns=SENT_AT_NS),
        Payload(Text("a\x00b")),
        Payload(Text("a\ud83d b")),
        Payload(Text("hello"), quoted_message_id="q\x001"),
        Payload(Text("hello"), caption="a\x00b", code="c\x00d", referral=Referral(url="https://example.org/\x00")),
        Payload(Reaction("m1", "🙂\x00")),
    ],
)
async def test_expected_turn_is_the_one_that_the_store_opens(store: Store, odd: Payload) -> None:
    """The message as the kernel has it in memory is the message that the store gives."""
    owner = await own(store, await say(store, "m1"))
    await owner.end(await owner.open())
    accepted = await store.inbox.accept(Message("test:ann", "m2", odd), now=NOW, max_pending=9)
    assert accepted.plain is not None
    begun = store.turns.begin(owner.person_id, owner.epoch, accepted.plain, now=NOW, debounce=0)
    again = await owner.open()
    assert (again.id, again.messages, again.started_at) == (begun.id, begun.messages, begun.started_at)


@pytest.mark.parametrize("content", [Text("stop"), Image("image/png", data=b"x")])
async def test_command_and_file_are_not_plain(store: Store, content: Content) -> None:
    accepted = await store.inbox.accept(Message("test:ann", "m1", Payload(content)), now=NOW, max_pending=9)
    assert accepted.plain is None


async def test_expected_turn_is_not_opened_if_another_turn_or_message_comes_first(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    known = (await owner.open()).messages[0]
    for message in (known, replace(known, seq=known.seq + 1)):
        begun = store.turns.begin(owner.person_id, owner.epoch, message, now=NOW, debounce=0)
        with pytest.raises(LeaseLost):
            await owner.end(begun)
    await owner.end(await owner.open())
    await say(store, "m2")
    await say(store, "m3")
    begun = store.turns.begin(owner.person_id, owner.epoch, replace(known, seq=known.seq + 2), now=NOW, debounce=0)
    with pytest.raises(LeaseLost):
        await store.turns.check_interrupts(begun)
    assert [message.message_id for message in (await owner.open()).messages] == ["m2", "m3"]


async def test_end_tells_whether_a_message_waits(store: Store) -> None:
    owner = await own(store, await say(store, "m1"))
    turn = await owner.open()
    await say(store, "m2", address="desk")  # another route: it does not join
    ended = await store.turns.end(turn, owner.epoch, [], [], status=TurnStatus.COMPLETED, usage=Usage(), now=NOW)
    assert ended.waits
    following = await owner.open()
    ended = await store.turns.end(following, owner.epoch, [], [], status=TurnStatus.COMPLETED, usage=Usage(), now=NOW)
    assert not ended.waits


@pytest.fixture
async def stop(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The connection of a writer that accepts a "stop" at the same time."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


@pytest.fixture
async def on_postgres(postgres_url: str) -> AsyncIterator[Store]:
    store = await open_store(postgres_url, keys("test"))
    yield store
    await store.close()


async def test_stop_that_commits_while_the_end_waits_for_the_lease_is_seen(
    on_postgres: Store, stop: asyncpg.Connection
) -> None:
    """The end reads the lease and the waiting messages in one statement, so what it reads may be older."""
    owner = await own(on_postgres, await say(on_postgres, "m1"))
    turn = await owner.open()
    async with stop.transaction():
        await stop.execute("UPDATE turn SET stopped = true")
        await stop.execute("UPDATE kernel SET stopped_at = 1")
        ending = asyncio.create_task(owner.end(turn))
        await _somebody_waits(stop)
    with pytest.raises(Stopped):
        await ending
    await owner.end(turn, status=TurnStatus.STOPPED)


async def test_message_that_a_stop_takes_back_while_the_turn_is_opened_is_not_answered(
    on_postgres: Store, stop: asyncpg.Connection
) -> None:
    owner = await own(on_postgres, await say(on_postgres, "m1"))
    async with stop.transaction():
        await stop.execute("UPDATE message SET status = 'stopped'")
        await stop.execute("UPDATE kernel SET stopped_at = 1")
        opening = asyncio.create_task(owner.ask())
        await _somebody_waits(stop)
    with pytest.raises(StoreUnavailable):
        await opening
    assert await owner.ask() is None


async def test_turn_that_is_opened_while_a_stop_is_accepted_is_stopped(
    on_postgres: Store, stop: asyncpg.Connection
) -> None:
    """The stop waits for the lease, which the opening of the turn has locked as well."""
    user, owner = "test:ann", await own(on_postgres, await say(on_postgres, "m1"))
    while _writer(user) == _writer(owner.person_id):  # it would open the turn and accept the stop in turn
        user = f"test:{user}"
        owner = await own(on_postgres, await say(on_postgres, "m1", user))
    said = Message(user, "s", Payload(Text("Stop!")))
    async with stop.transaction():
        await stop.execute("SELECT FROM kernel WHERE person_id = $1 FOR SHARE", owner.person_id)
        stopping = asyncio.create_task(on_postgres.inbox.accept(said, now=NOW, max_pending=9))
        await _somebody_waits(stop)
        turn = await owner.open()
    assert (await stopping).withdrawn == ()
    with pytest.raises(Stopped):
        await on_postgres.turns.check_interrupts(turn)


def _writer(key: str) -> int:
    """The number of the writer that commits the units of this key."""
    return zlib.crc32(key.encode()) % WRITERS


async def _somebody_waits(connection: asyncpg.Connection) -> None:
    while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        await asyncio.sleep(0)
