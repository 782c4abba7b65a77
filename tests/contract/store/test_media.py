"""Files that people sent: requested, leased, uploaded, failed, read, transcribed, swept; and the messages that wait for
them.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from kernel_service.errors import AlreadyExists, Exhausted, NotFound
from kernel_service.media.read_as import MIB
from kernel_service.ports.interruptions import JoiningMessages
from kernel_service.ports.media import CHUNK_BYTES, WAIT_SECONDS, FileProblem, MediaAck, MediaState, ReadAs
from kernel_service.ports.messages import Message, ReplyMode, Usage
from kernel_service.ports.outbox import AckResult, Outcome
from kernel_service.ports.payloads import Audio, Document, File, Image, Payload, Sticker, Text, Video
from kernel_service.ports.turns import Turn
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.media import media, media_chunk
from tests.contract.store.conftest import keys
from tests.contract.store.outbox import puller
from tests.contract.store.owner import NOW, own, say
from tests.integration.files import pdf, png

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kernel_service.ports.media import MediaWanted
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

WANTED = Payload(Image("image/jpeg", media_ref="ref-1"), caption="What is it?")


def with_bytes(data: bytes, kind: type[File] = Image, mime_type: str = "image/png", sha256: bytes = b"") -> Payload:
    return Payload(kind(mime_type, data=data, sha256=sha256))


async def send(store: Store, payload: Payload, message_id: str = "m1", *, now: float = NOW) -> str:
    """The sender."""
    sent = Message("test:ann", message_id, payload, address="a", reply_mode=ReplyMode.OUTBOX)
    return (await store.inbox.accept(sent, now=now, max_pending=100)).person_id


async def lease(store: Store, *, now: float = NOW, **more: Any) -> list[MediaWanted]:
    given: dict[str, Any] = {"addresses": [], "limit": 10, "seconds": 30, **more}
    opened = await puller(store, given.pop("channel", "test"))
    return await store.media.lease(opened, given.pop("addresses"), now=now, **given)


async def bring(store: Store, wanted: MediaWanted, *chunks: bytes, problem: FileProblem = FileProblem.NONE) -> str:
    upload = await store.media.begin_upload("test", wanted.media_id, wanted.token, now=NOW)
    for number, chunk in enumerate(chunks):
        await store.media.add_chunk(upload, number, chunk, leased_until=NOW + 30)
    return await store.media.end_upload(upload, chunks=len(chunks), mime_type="image/png", problem=problem)


async def ack(store: Store, wanted: MediaWanted, outcome: Outcome, *, now: float = NOW, **more: Any) -> AckResult:
    (settled,) = await store.media.settle("test", [MediaAck(wanted.media_id, wanted.token, outcome, **more)], now=now)
    return settled.result


async def counted(store: Store) -> tuple[int, int]:
    """Rows and chunks."""

    def count(tx: Tx) -> tuple[int, int]:
        return tuple(tx.execute(select(func.count()).select_from(table)).scalar_one() for table in (media, media_chunk))

    return await store.engine.read(count)


async def sweep(store: Store) -> None:
    while await store.media.sweep(now=NOW):
        pass


# --- at acceptance ----------------------------------------------------------------------------------------------------


async def test_included_bytes_are_stored_separately_from_the_message(store: Store) -> None:
    data = b"\x89PNG\r\n\x1a\n" + bytes(3 * CHUNK_BYTES)
    person = await send(store, with_bytes(data))
    turn = await (await own(store, person)).open()
    payload = turn.messages[0].payload
    media_id = payload.media_id
    assert payload == Payload(Image("image/png", media_id=media_id))
    file = (await store.files.find([media_id]))[media_id]
    assert (file.state, file.read_as, file.size, file.chunks) == (MediaState.STORED, ReadAs.SEE, len(data), 4)
    assert b"".join([await store.files.chunk(media_id, number) for number in range(4)]) == data


async def test_stored_bytes_are_sealed(store: Store) -> None:
    canaries = ["canary-in-a-picture", "canary-in-a-name", "canary-in-a-reference"]
    await send(store, with_bytes(png() + canaries[0].encode()))
    await send(store, Payload(Document("text/plain", f"{canaries[1]}.txt", media_ref=canaries[2])), "m2")

    def everything(tx: Tx) -> str:
        return str([tx.execute(select(table)).all() for table in (media, media_chunk, message)])

    stored = await store.engine.read(everything)
    assert not [canary for canary in canaries if canary in stored]


async def test_a_repeat_stores_nothing_else(store: Store) -> None:
    await send(store, with_bytes(png()))
    await send(store, with_bytes(png()))
    assert await counted(store) == (1, 1)
    with pytest.raises(AlreadyExists):
        await send(store, with_bytes(png(9)))


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (with_bytes(b"no picture"), FileProblem.WRONG_TYPE),
        (with_bytes(b""), FileProblem.UNREADABLE),
        (with_bytes(png(), sha256=b"x" * 32), FileProblem.DAMAGED),
        (Payload(Image("image/png", media_ref="r", size_bytes=11 * MIB)), FileProblem.TOO_LARGE),
    ],
)
async def test_an_unusable_file_is_not_awaited(store: Store, payload: Payload, problem: FileProblem) -> None:
    turn = await (await own(store, await send(store, payload))).open()
    media_id = turn.messages[0].payload.media_id
    assert (await store.files.find([media_id]))[media_id].problem is problem
    assert await lease(store) == []
    assert (await counted(store))[1] == 0


@pytest.mark.parametrize("kind", [Video, Sticker, Document])
async def test_an_unsupported_file_is_not_stored(store: Store, kind: type[File]) -> None:
    turn = await (await own(store, await send(store, with_bytes(b"bytes", kind, "application/zip")))).open()
    assert turn.messages[0].payload == Payload(kind("application/zip"))
    assert await counted(store) == (0, 0)


async def test_the_quota_is_enforced(database_url: str) -> None:
    store = await open_store(database_url, keys("test"), media_bytes=2 * CHUNK_BYTES)
    try:
        await send(store, with_bytes(png() + bytes(CHUNK_BYTES)))
        with pytest.raises(Exhausted, match="quota for files"):
            await send(store, with_bytes(png() + bytes(CHUNK_BYTES)), "m2")
        await send(store, WANTED, "m3")
        (wanted,) = await lease(store)
        with pytest.raises(Exhausted):
            await bring(store, wanted, bytes(CHUNK_BYTES))
    finally:
        await store.close()


# --- the message waits ------------------------------------------------------------------------------------------------


async def test_a_turn_waits_for_its_file_and_no_longer_than_the_deadline(store: Store) -> None:
    owner = await own(store, await send(store, WANTED))
    assert await owner.ask() == NOW + WAIT_SECONDS
    assert isinstance(await owner.ask(NOW + WAIT_SECONDS), Turn)


async def test_messages_after_a_file_wait_with_it_in_order(store: Store) -> None:
    person = await send(store, WANTED)
    await send(store, Payload(Text("well?")), "m2", now=NOW + 1)
    owner = await own(store, person)
    assert await owner.ask(NOW + 2) == NOW + WAIT_SECONDS
    (wanted,) = await lease(store)
    assert await bring(store, wanted, png()) == person
    turn = await owner.open(NOW + 2)
    assert [each.message_id for each in turn.messages] == ["m1", "m2"]


async def test_an_awaited_file_does_not_delay_the_running_turn(store: Store) -> None:
    person = await say(store, "m0", address="a", reply_mode=ReplyMode.OUTBOX)
    owner = await own(store, person)
    turn = await owner.open()
    await send(store, WANTED)
    await store.turns.check_interrupts(turn)
    assert [each.message_id for each in (await owner.open()).messages] == ["m0"]
    (wanted,) = await lease(store)
    await bring(store, wanted, png())
    with pytest.raises(JoiningMessages):
        await store.turns.check_interrupts(turn)
    assert [each.message_id for each in (await owner.open()).messages] == ["m0", "m1"]


async def test_stop_withdraws_a_message_that_waits_for_a_file(store: Store) -> None:
    owner = await own(store, await send(store, WANTED))
    await send(store, Payload(Text("stop")), "m2")
    turn = await owner.open()
    assert [each.message_id for each in turn.messages] == ["m2"]
    assert await lease(store) == []
    await sweep(store)
    assert await counted(store) == (0, 0)


# --- leases -----------------------------------------------------------------------------------------------------------


async def test_a_lease_names_the_file_and_is_exclusive(store: Store) -> None:
    digest = hashlib.sha256(b"x").digest()
    content = Payload(Image("image/jpeg", media_ref="ref-1", sha256=digest))
    await send(store, content)
    assert await lease(store, channel="other") == []
    assert await lease(store, addresses=["b"]) == []
    (wanted,) = await lease(store, addresses=["a"])
    assert (wanted.media_ref, wanted.address, wanted.sha256) == ("ref-1", "a", digest)
    assert (wanted.deadline, wanted.max_bytes) == (NOW + WAIT_SECONDS, 10 * MIB)
    assert await lease(store, now=NOW + 29) == []


async def test_an_expired_lease_is_renewed_and_the_old_token_is_void(store: Store) -> None:
    await send(store, WANTED)
    (first,) = await lease(store)
    upload = await store.media.begin_upload("test", first.media_id, first.token, now=NOW)
    (second,) = await lease(store, now=NOW + 30)
    assert await ack(store, first, Outcome.FAILED) is AckResult.STALE
    with pytest.raises(NotFound):
        await store.media.begin_upload("test", first.media_id, first.token, now=NOW)
    await bring(store, second, b"new")
    with pytest.raises(NotFound):
        await store.media.add_chunk(upload, 0, b"old", leased_until=NOW + 30)
    with pytest.raises(NotFound):
        await store.media.end_upload(upload, chunks=1, mime_type="image/png", problem=FileProblem.NONE)
    assert await store.files.chunk(second.media_id, 0) == b"new"


async def test_a_lease_that_never_arrived_is_leased_again_at_once(store: Store) -> None:
    await send(store, WANTED)
    (wanted,) = await lease(store)
    await store.media.release([(wanted.media_id, wanted.token)])
    assert len(await lease(store)) == 1


async def test_after_the_deadline_a_file_is_not_leased(store: Store) -> None:
    await send(store, WANTED)
    assert await lease(store, now=NOW + WAIT_SECONDS) == []


async def test_a_retry_is_leased_again_after_its_time(store: Store) -> None:
    await send(store, WANTED)
    (wanted,) = await lease(store)
    assert await ack(store, wanted, Outcome.RETRY, retry_after=5) is AckResult.RECORDED
    assert await lease(store, now=NOW + 4) == []
    assert len(await lease(store, now=NOW + 5)) == 1


async def test_a_failure_releases_the_message(store: Store) -> None:
    person = await send(store, WANTED)
    (wanted,) = await lease(store)
    assert await ack(store, wanted, Outcome.FAILED, error_code="expired") is AckResult.RECORDED
    assert await ack(store, wanted, Outcome.FAILED, error_code="other") is AckResult.RECORDED
    await (await own(store, person)).open()
    assert (await store.files.find([wanted.media_id]))[wanted.media_id].problem is FileProblem.EXPIRED
    with pytest.raises(NotFound):
        await bring(store, wanted, b"late")


async def test_other_channels_cannot_settle(store: Store) -> None:
    await send(store, WANTED)
    (wanted,) = await lease(store)
    (settled,) = await store.media.settle("other", [MediaAck(wanted.media_id, wanted.token, Outcome.FAILED)], now=NOW)
    assert settled.result is AckResult.UNKNOWN
    with pytest.raises(NotFound):
        await store.media.begin_upload("other", wanted.media_id, wanted.token, now=NOW)
    with pytest.raises(NotFound):
        await store.media.begin_upload("test", wanted.media_id, "guessed", now=NOW)


# --- the bytes --------------------------------------------------------------------------------------------------------


async def test_an_upload_can_restart_and_be_repeated(store: Store) -> None:
    await send(store, WANTED)
    (wanted,) = await lease(store)
    broken = await store.media.begin_upload("test", wanted.media_id, wanted.token, now=NOW)
    await store.media.add_chunk(broken, 0, b"half", leased_until=NOW + 30)
    await bring(store, wanted, b"one", b"two")
    again = await store.media.begin_upload("test", wanted.media_id, wanted.token, now=NOW)
    assert again.stored == 6
    file = (await store.files.find([wanted.media_id]))[wanted.media_id]
    assert (file.size, file.chunks, file.mime_type) == (6, 2, "image/png")
    assert await counted(store) == (1, 2)


async def test_a_transcript_is_stored_and_counted(store: Store) -> None:
    content = with_bytes(b"OggS", Audio, "audio/ogg; codecs=opus")
    person = await send(store, content)
    turn = await (await own(store, person)).open()
    media_id = turn.messages[0].payload.media_id
    assert (await store.files.find([media_id]))[media_id].transcript is None
    await store.files.keep_transcript(media_id, "Call Eve", Usage(input_tokens=5), now=NOW)
    assert (await store.files.find([media_id]))[media_id].transcript == "Call Eve"
    assert await store.spending.spent_today(person, now=NOW) == 5


async def test_files_are_deleted_with_their_turn(store: Store) -> None:
    person = await send(store, with_bytes(pdf("x", filler=40 * CHUNK_BYTES), Document, "application/pdf"))
    owner = await own(store, person)
    turn = await owner.open()
    await sweep(store)
    assert (await counted(store))[1] > 40, "nothing that an open message needs is swept"
    await owner.end(turn)
    await sweep(store)
    assert await counted(store) == (0, 0)


async def test_a_split_turn_keeps_its_files(store: Store) -> None:
    person = await send(store, with_bytes(png()))
    await send(store, with_bytes(png(9)), "m2")
    owner = await own(store, person)
    turn = await owner.open()
    await store.turns.split(turn, owner.epoch, problem="x", now=NOW)
    await sweep(store)
    assert await counted(store) == (2, 2)


async def test_files_survive_a_merge_of_their_person(store: Store) -> None:
    """Their key stays the merged person's; the turn belongs to the remaining person."""
    older = await say(store, "m0", "test:old", now=NOW - 10, address="a", reply_mode=ReplyMode.OUTBOX)
    newer = await send(store, with_bytes(b"OggS", Audio, "audio/ogg"))
    await send(store, WANTED, "m2")
    (wanted,) = await lease(store)
    await store.merging.merge(older, newer, now=NOW)
    assert await bring(store, wanted, png()) == older
    turn = await (await own(store, older)).open()
    found = [media_id for each in turn.messages if (media_id := each.payload.media_id)]
    for media_id in found:
        await store.files.keep_transcript(media_id, "heard", Usage(input_tokens=1), now=NOW)
    assert b"OggS" in [await store.files.chunk(media_id, 0) for media_id in found]
    assert {file.transcript for file in (await store.files.find(found)).values()} == {"heard"}
    assert await store.spending.spent_today(older, now=NOW) == len(found)


async def test_the_chunks_of_a_failed_file_are_swept_while_its_message_still_waits(store: Store) -> None:
    await send(store, WANTED)
    (wanted,) = await lease(store)
    await bring(store, wanted, b"locked", problem=FileProblem.LOCKED)
    await sweep(store)
    assert await counted(store) == (1, 0)


async def test_messages_take_precedence_over_chunks(sqlite_url: str) -> None:
    """However many chunks wait for the one writer, a message waits at most for those in progress."""
    store = await open_store(sqlite_url, keys("test"))
    await send(store, WANTED)
    (wanted,) = await lease(store)
    upload = await store.media.begin_upload("test", wanted.media_id, wanted.token, now=NOW)
    order: list[str] = []

    async def noted(what: str, work: Coroutine[Any, Any, Any]) -> None:
        await work
        order.append(what)

    chunks = [
        noted("chunk", store.media.add_chunk(upload, number, bytes(CHUNK_BYTES), leased_until=NOW + 30))
        for number in range(20)
    ]
    await asyncio.gather(*chunks, noted("message", send(store, Payload(Text("hello")), "m2")))
    assert order.index("message") <= 3
    await store.close()


async def test_no_other_process_takes_a_file_while_its_upload_continues(store: Store) -> None:
    """A large file on a slow line takes longer than a lease."""
    await send(store, WANTED)
    (wanted,) = await lease(store)
    upload = await store.media.begin_upload("test", wanted.media_id, wanted.token, now=NOW)
    for number, seconds in enumerate((25, 50)):
        await store.media.add_chunk(upload, number, b"slow", leased_until=NOW + seconds + 30)
        assert await lease(store, now=NOW + seconds + 29) == []
    (again,) = await lease(store, now=NOW + 80)  # it has stalled
    assert again.media_id == wanted.media_id


async def test_an_upload_that_the_deletion_of_the_person_cuts_leaves_nothing(store: Store) -> None:
    for number in range(10):
        person_id = await send(store, WANTED, f"m{number}")
        (wanted,) = await lease(store)
        upload = await store.media.begin_upload("test", wanted.media_id, wanted.token, now=NOW)
        adding = [store.media.add_chunk(upload, each, b"bytes", leased_until=NOW + 30) for each in range(number)]
        results = await asyncio.gather(*adding, delete_person(store, person_id), return_exceptions=True)
        assert all(each is None or isinstance(each, NotFound) for each in results), results
        with pytest.raises(NotFound):
            await store.media.end_upload(upload, chunks=number, mime_type="image/png", problem=FileProblem.NONE)
        assert await counted(store) == (0, 0)


async def delete_person(store: Store, person_id: str) -> None:
    step = await store.deletion.begin(person_id, now=NOW)
    while not step.is_last:
        step = await store.deletion.go_on(step.people, now=NOW)
