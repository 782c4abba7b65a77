"""Files that tools made for a person: kept until their reply is settled, served to its channel. On every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from kernel_service.errors import Exhausted, NotFound
from kernel_service.ports.media import CHUNK_BYTES, PERSON_BYTES, SETTLED_SECONDS
from kernel_service.ports.messages import Reply, ReplyFile, ReplyMode, Usage
from kernel_service.ports.outbox import Outcome
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.schema.media import media, media_chunk
from tests.contract.store.outbox import ack, pull, puller
from tests.contract.store.owner import NOW, Owner, own, say

if TYPE_CHECKING:
    from kernel_service.ports.turns import Turn
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

CHUNKS = (b"a" * CHUNK_BYTES, b"SECRET")
SIZE = CHUNK_BYTES + 6
LATER = NOW + SETTLED_SECONDS + 1


async def asked(store: Store, mode: ReplyMode = ReplyMode.OUTBOX) -> tuple[Owner, Turn]:
    owner = await own(store, await say(store, "m1", reply_mode=mode))
    return owner, await owner.open()


async def make(store: Store, turn: Turn) -> ReplyFile:
    media_id = await store.made_files.keep(turn.person_id, turn.messages[-1], SIZE, now=NOW)
    for number, chunk in enumerate(CHUNKS):
        await store.made_files.add_chunk(media_id, number, chunk)
    return ReplyFile(media_id, "text/plain", "notes.txt", SIZE, "ab" * 32)


async def end(owner: Owner, turn: Turn, *files: ReplyFile) -> None:
    replies = [Reply("Here.", media=files)]
    status = TurnStatus.COMPLETED
    await owner.store.turns.end(turn, owner.epoch, [], replies, status=status, usage=Usage(), now=NOW)


async def counted(store: Store, now: float) -> tuple[int, int]:
    """Rows and chunks that are left by the sweep at that time."""
    while await store.media.sweep(now=now):
        pass

    def count(tx: Tx) -> tuple[int, int]:
        rows, chunks = (
            tx.execute(select(func.count()).select_from(each)).scalar_one() for each in (media, media_chunk)
        )
        return rows, chunks

    return await store.engine.read(count)


async def test_a_file_is_attached_to_its_reply_and_served_to_its_channel(store: Store) -> None:
    owner, turn = await asked(store)
    file = await make(store, turn)
    with pytest.raises(NotFound):
        await store.made_files.chunks("test", file.id)
    await end(owner, turn, file)
    [lease] = await pull(store)
    assert lease.reply.reply.media == (file,)
    with pytest.raises(NotFound):
        await store.made_files.chunks("other", file.id)
    count = await store.made_files.chunks("test", file.id)
    assert tuple([await store.files.chunk(file.id, number) for number in range(count)]) == CHUNKS
    assert await store.media.lease(await puller(store), [], limit=10, seconds=30, now=NOW) == []


async def test_a_file_stays_until_the_reply_is_settled_and_a_while_longer(store: Store) -> None:
    owner, turn = await asked(store)
    await end(owner, turn, await make(store, turn))
    assert await counted(store, LATER) == (1, 2)
    [lease] = await pull(store)
    await ack(store, lease, Outcome.WINDOW_CLOSED)
    assert await counted(store, LATER) == (1, 2), "held until they write"
    await say(store, "m2")
    [lease] = await pull(store)
    await ack(store, lease)
    assert await counted(store, NOW) == (1, 2)
    assert await counted(store, LATER) == (0, 0)


async def test_an_unattached_file_is_deleted_with_its_turn(store: Store) -> None:
    owner, turn = await asked(store)
    await make(store, turn)
    assert await counted(store, LATER) == (1, 2)
    await end(owner, turn)
    assert await counted(store, LATER) == (0, 0)


async def test_a_waiting_caller_has_some_time_to_fetch_it(store: Store) -> None:
    owner, turn = await asked(store, ReplyMode.INLINE)
    file = await make(store, turn)
    await end(owner, turn, file)
    assert await counted(store, NOW) == (1, 2)
    assert await store.made_files.chunks("test", file.id) == 2
    assert await counted(store, LATER) == (0, 0)


async def test_a_file_is_sealed_and_counts_towards_the_persons_quota(store: Store) -> None:
    _, turn = await asked(store)
    await make(store, turn)

    def everything(tx: Tx) -> str:
        return str([tx.execute(select(table)).all() for table in (media, media_chunk)])

    assert "SECRET" not in await store.engine.read(everything)
    with pytest.raises(Exhausted):
        await store.made_files.keep(turn.person_id, turn.messages[-1], PERSON_BYTES - SIZE + 1, now=NOW)
