"""A deletion, retention and what happens to people meanwhile lock rows in one order, and do not wait in a circle.

Each test holds a lock of one transaction, lets the other one wait for it, and then takes the next lock of the first.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import select

from kernel_service.errors import NotFound, StoreUnavailable
from kernel_service.ports.media import FileProblem
from kernel_service.ports.messages import Message, ReplyMode, Usage
from kernel_service.ports.outbox import Puller
from kernel_service.ports.payloads import Document, Payload
from kernel_service.ports.retention import RetentionPolicy
from kernel_service.ports.spending import Budgets, Estimate
from kernel_service.storage.deleting.stored_of_people import TABLES, columns_of_people
from kernel_service.storage.engine import postgres_connections
from kernel_service.storage.engine.one_at_a_time import Units
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema.media import media_chunk
from tests.contract.store.conftest import keys
from tests.contract.store.owner import NOW, own, say
from tests.contract.store.people import answer, connect
from tests.contract.store.watching import begun, event, receive, watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from kernel_service.storage.store import Store

DAY = 86_400
_WAITS = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


class Another:
    """A transaction of another process."""

    def __init__(self, connection: asyncpg.Connection, watch: asyncpg.Connection) -> None:
        self._connection, self._watch = connection, watch
        self._transaction = connection.transaction()

    async def does(self, sql: str, *values: Any) -> list[asyncpg.Record]:
        if not self._connection.is_in_transaction():
            await self._transaction.start()
        rows: list[asyncpg.Record] = await self._connection.fetch(sql, *values)
        return rows

    async def meets(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """The work, as soon as it waits for a lock of this transaction."""
        task = asyncio.create_task(work)
        async with asyncio.timeout(10):
            while not await self._watch.fetchval(_WAITS):
                assert not task.done()
        return task

    async def commits(self) -> None:
        await self._transaction.commit()


@asynccontextmanager
async def another(url: str) -> AsyncIterator[Another]:
    connection, watch = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        yield Another(connection, watch)
    finally:
        await connection.close()
        await watch.close()


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    opened = await open_store(postgres_url, keys("test"), retention=RetentionPolicy(inactive_days=90))
    yield opened
    await opened.close()


async def test_a_message_and_retention(store: Store, postgres_url: str) -> None:
    ann = await say(store, "hello")
    await answer(store, ann)
    later = NOW + 100 * DAY
    async with another(postgres_url) as message:
        await message.does("SELECT 1 FROM alias WHERE person_id = $1 FOR SHARE", ann)
        retention = await message.meets(store.retention.forget_old(now=later))
        await message.does("SELECT 1 FROM person WHERE id = $1 FOR KEY SHARE NOWAIT", ann)
        await message.commits()
        await retention
    with pytest.raises(NotFound):
        await store.people.surviving(ann)


async def test_a_lock_that_is_held_for_too_long_is_no_outage(
    store: Store, postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ann = await say(store, "hello")
    monkeypatch.setattr(postgres_connections, "UNIT_SECONDS", 0.0)
    async with another(postgres_url) as change:
        await change.does("SELECT pg_advisory_xact_lock($1, 0)", Units.IDENTITIES.value)
        with pytest.raises(StoreUnavailable):
            await store.deletion.begin(ann, now=NOW)
        await change.commits()
    assert caplog.records == []
    assert (await store.deletion.begin(ann, now=NOW)).is_last


async def test_the_end_of_an_upload_and_the_deletion(store: Store, postgres_url: str) -> None:
    file = Payload(Document("application/pdf", media_ref="r", filename="a.pdf"))
    said = Message("test:ann", "m1", file, address="desk", reply_mode=ReplyMode.OUTBOX)
    accepted = await store.inbox.accept(said, now=NOW, max_pending=9)
    puller = Puller("test", "gateway", "one", await store.outbox.open_puller("test", "gateway", now=NOW))
    [wanted] = await store.media.lease(puller, (), limit=9, seconds=30, now=NOW)
    begun = await store.media.begin_upload("test", wanted.media_id, wanted.token, now=NOW)
    async with another(postgres_url) as upload:
        await upload.does("SELECT 1 FROM media WHERE id = $1 FOR UPDATE", wanted.media_id)
        deletion = await upload.meets(store.deletion.begin(accepted.person_id, now=NOW))
        await upload.does("SELECT 1 FROM message WHERE seq = $1 FOR UPDATE NOWAIT", accepted.seq)
        await upload.commits()
        assert (await deletion).is_last
    with pytest.raises(NotFound):
        await store.media.end_upload(begun, chunks=0, mime_type="application/pdf", problem=FileProblem.NONE)


async def test_a_trigger_that_the_vendor_has_made_and_the_deletion(store: Store, postgres_url: str) -> None:
    ann = await say(store, "hello")
    creating = await begun(store, await connect(store, ann))
    async with another(postgres_url) as deletion:
        await deletion.does("SELECT 1 FROM person WHERE id = $1 FOR UPDATE", ann)
        activation = await deletion.meets(store.triggers.activate(creating.id, "ti_ann"))
        await deletion.does("SELECT 1 FROM trigger WHERE id = $1 FOR UPDATE NOWAIT", creating.id)
        await deletion.commits()
        assert await activation is not None


async def test_a_trigger_that_the_vendor_has_removed_and_the_deletion(store: Store, postgres_url: str) -> None:
    account = await connect(store, await say(store, "hello"))
    trigger = await watching(store, account)
    await receive(store, event(account))
    async with another(postgres_url) as deletion:
        await deletion.does("SELECT 1 FROM trigger WHERE id = $1 FOR UPDATE", trigger.id)
        removal = await deletion.meets(store.triggers.removed(trigger.id))
        await deletion.does("SELECT 1 FROM trigger_event WHERE trigger_id = $1 FOR UPDATE NOWAIT", trigger.id)
        await deletion.commits()
        await removal


async def test_a_transcript_and_the_deletion(store: Store, postgres_url: str) -> None:
    said = Message("test:ann", "m1", Payload(Document("text/plain", data=b"words", filename="a.txt")), address="desk")
    accepted = await store.inbox.accept(said, now=NOW, max_pending=9)
    turn = await (await own(store, accepted.person_id)).open()
    media_id, usage = turn.messages[0].payload.media_id, Usage(input_tokens=1, model_calls=1)
    async with another(postgres_url) as deletion:
        await deletion.does("SELECT 1 FROM person WHERE id = $1 FOR UPDATE", accepted.person_id)
        keeping = await deletion.meets(store.files.keep_transcript(media_id, "words", usage, now=NOW))
        await deletion.does("SELECT 1 FROM media WHERE id = $1 FOR UPDATE NOWAIT", media_id)
        await deletion.commits()
        await keeping


async def test_no_chunk_joins_a_file_that_is_being_deleted(store: Store, postgres_url: str) -> None:
    ann = await say(store, "hello")
    turn = await (await own(store, ann)).open()
    media_id = await store.made_files.keep(ann, turn.messages[0], 5, now=NOW)
    async with another(postgres_url) as deletion:
        await deletion.does("DELETE FROM media WHERE id = $1", media_id)
        adding = await deletion.meets(store.made_files.add_chunk(media_id, 0, b"bytes"))
        await deletion.commits()
        with pytest.raises(NotFound):
            await adding
    rows = await store.engine.read(lambda tx: tx.execute(select(media_chunk)).all())
    assert rows == []


@pytest.mark.parametrize("late", ["reservation", "file"])
async def test_a_row_for_a_person_who_is_just_deleted_is_refused(store: Store, postgres_url: str, late: str) -> None:
    ann = await say(store, "hello")
    turn = await (await own(store, ann)).open()
    works = {
        "reservation": lambda: store.spending.reserve(ann, Estimate(5, 5, 100), Budgets(), now=NOW),
        "file": lambda: store.made_files.keep(ann, turn.messages[0], 5, now=NOW),
    }
    async with another(postgres_url) as deletion:
        await deletion.does("SELECT 1 FROM person WHERE id = $1 FOR UPDATE", ann)
        work = await deletion.meets(works[late]())
        for each in TABLES:
            for column in columns_of_people(each.table):
                await deletion.does(f"DELETE FROM {each.table.name} WHERE {column.name} = $1", ann)  # noqa: S608
        await deletion.does("DELETE FROM person WHERE id = $1", ann)
        await deletion.commits()
        with pytest.raises(NotFound, match="no such person"):
            await work
