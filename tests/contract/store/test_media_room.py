"""The quota for files: strangers cannot displace files of established people, however many strangers come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import Exhausted
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.media import CHUNK_BYTES, FileProblem, MediaState
from kernel_service.ports.messages import Message, ReplyMode
from kernel_service.storage.media.room import STRANGER_DAYS
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys
from tests.contract.store.owner import NOW, own, say
from tests.contract.store.people import connect
from tests.contract.store.test_media import WANTED, bring, counted, lease, sweep, with_bytes
from tests.integration.files import png

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kernel_service.ports.payloads import Payload
    from kernel_service.storage.store import Store

KB = 1024
PICTURE = png() + bytes(40 * KB)
ROOM = 200 * KB
"""For four pictures, and a little more."""
LONG_AGO = NOW - (STRANGER_DAYS + 1) * 86_400


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = await open_store(database_url, keys("test"), media_bytes=ROOM, media_bytes_per_person=100 * KB)
    yield opened
    await opened.close()


async def greet(store: Store, name: str, *, now: float = NOW) -> str:
    return await say(store, "hello", f"test:{name}", address="a", reply_mode=ReplyMode.OUTBOX, now=now)


async def send(store: Store, name: str, payload: Payload | None = None, *, now: float = NOW) -> str:
    payload = payload or with_bytes(PICTURE)
    sent = Message(f"test:{name}", f"m-{name}", payload, address="a", reply_mode=ReplyMode.OUTBOX)
    return (await store.inbox.accept(sent, now=now, max_pending=100)).person_id


async def opened(store: Store, person: str) -> FileProblem:
    """How the person's turn sees their file."""
    turn = await (await own(store, person)).open(NOW + 100)
    media_id = turn.messages[-1].payload.media_id
    file = (await store.files.find([media_id]))[media_id]
    assert (file.state is MediaState.FAILED) == bool(file.problem)
    return file.problem


async def test_established_people_get_space_in_a_flood_of_strangers(store: Store) -> None:
    await greet(store, "ann", now=LONG_AGO)
    bob = await greet(store, "bob")
    await connect(store, bob, ConnectionStatus.ACTIVE)
    strangers = [await send(store, f"s{number}", now=NOW + number) for number in range(4)]
    ann, bob = await send(store, "ann", now=NOW + 10), await send(store, "bob", now=NOW + 11)
    assert [await opened(store, person) for person in (ann, bob)] == [FileProblem.NONE] * 2
    assert [await opened(store, person) for person in strangers] == [
        FileProblem.NONE, FileProblem.NONE, FileProblem.NO_ROOM, FileProblem.NO_ROOM,
    ]  # fmt: skip


async def test_a_stranger_displaces_only_later_strangers(store: Store) -> None:
    await greet(store, "early", now=NOW - 1)
    strangers = [await send(store, f"s{number}", now=NOW + number) for number in range(4)]
    for number in range(4, 50):
        with pytest.raises(Exhausted):
            await send(store, f"s{number}", now=NOW + number)
    early = await send(store, "early", now=NOW + 60)
    assert [await opened(store, each) for each in (early, *strangers)] == [*[FileProblem.NONE] * 4, FileProblem.NO_ROOM]


async def test_a_file_that_a_turn_reads_stays(store: Store) -> None:
    await greet(store, "ann", now=LONG_AGO)
    strangers = [await send(store, f"s{number}", now=NOW + number) for number in range(4)]
    assert await opened(store, strangers[3]) is FileProblem.NONE
    await send(store, "ann", now=NOW + 10)
    assert await opened(store, strangers[2]) is FileProblem.NO_ROOM
    turn = await (await own(store, strangers[3])).open(NOW + 101)
    media_id = turn.messages[0].payload.media_id
    assert (await store.files.find([media_id]))[media_id].problem is FileProblem.NONE


async def test_a_person_cannot_exceed_their_share(store: Store) -> None:
    await greet(store, "ann", now=LONG_AGO)
    for number in range(2):
        sent = Message("test:ann", f"m{number}", with_bytes(PICTURE), address="a", reply_mode=ReplyMode.OUTBOX)
        await store.inbox.accept(sent, now=NOW, max_pending=100)
    with pytest.raises(Exhausted):
        await send(store, "ann")


async def test_an_upload_gets_space_too_and_a_person_without_space_is_told_why(store: Store) -> None:
    await greet(store, "ann", now=LONG_AGO)
    strangers = [await send(store, f"s{number}", now=NOW + number) for number in range(4)]
    await send(store, "ann", WANTED, now=NOW)
    [wanted] = await lease(store)
    await bring(store, wanted, bytes(60 * KB))
    assert await opened(store, strangers[3]) is FileProblem.NO_ROOM
    late = await send(store, "late", WANTED, now=NOW + 5)
    [wanted] = await lease(store)
    upload = await store.media.begin_upload("test", wanted.media_id, wanted.token, now=NOW)
    with pytest.raises(Exhausted):
        await store.media.add_chunk(upload, 0, bytes(min(CHUNK_BYTES, 90 * KB)), leased_until=NOW)
    await store.media.note_full(upload)
    turn = await (await own(store, late)).open(NOW + 1000)
    file = (await store.files.find([wanted.media_id]))[turn.messages[0].payload.media_id]
    assert (file.state, file.problem) == (MediaState.WANTED, FileProblem.NO_ROOM)


async def test_evicted_files_are_swept(store: Store) -> None:
    await greet(store, "ann", now=LONG_AGO)
    for number in range(4):
        await send(store, f"s{number}", now=NOW + number)
    await send(store, "ann", now=NOW + 10)
    await sweep(store)
    assert (await counted(store))[1] == 4
