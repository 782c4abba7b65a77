"""Message ids that an earlier release stored in clear are sealed while the service runs, and are found at any time."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import sys
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import asyncpg
import pytest

from kernel_service.errors import AlreadyExists, StoreUnavailable
from kernel_service.ports.messages import Message, Reply, ReplyMode
from kernel_service.ports.payloads import Payload, Text
from kernel_service.storage.engine import sqlite
from kernel_service.storage.keys import clear_ids
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema import schema
from tests.contract.store.conftest import command, keys
from tests.contract.store.earlier_release import age
from tests.contract.store.outbox import ADDRESS, CHANNEL, ack, pull, receipt
from tests.contract.store.owner import HELLO, NOW, Owner, own
from tests.contract.store.test_engine import postgres_dump, sqlite_dump

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.ports.inbox import Accepted
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

PHONE = "4915112345678"
LATER = NOW + 60


def wamid(name: str) -> str:
    """In WhatsApp's format: they contain the number, in base64."""
    return "wamid." + base64.b64encode(f"\x1c\x18\x0d{PHONE}\x15\x02{name}".encode()).decode()


def said(name: str, mode: ReplyMode = ReplyMode.OUTBOX, text: str = "", user: str = "ann") -> Message:
    return Message(f"{CHANNEL}:{user}", wamid(name), Payload(Text(text or name)), address=ADDRESS, reply_mode=mode)


async def accept(store: Store, message: Message) -> Accepted:
    return await store.inbox.accept(message, now=NOW, max_pending=100)


async def answered(store: Store, name: str, mode: ReplyMode = ReplyMode.OUTBOX, user: str = "ann") -> Accepted:
    accepted = await accept(store, said(name, mode, user=user))
    owner, turn = await _opened(store, accepted)
    await owner.end(turn)
    return accepted


async def given_up(store: Store, name: str) -> Accepted:
    accepted = await accept(store, said(name))
    owner, turn = await _opened(store, accepted)
    await store.turns.give_up(turn, owner.epoch, [HELLO], [Reply("sorry")], problem="poison", now=NOW)
    return accepted


async def _opened(store: Store, accepted: Accepted) -> tuple[Owner, Any]:
    owner = await own(store, accepted.person_id)
    return owner, await owner.open()


async def reopened(store: Store, url: str, *key_ids: str) -> Store:
    await store.close()
    return await open_store(url, keys(*key_ids or ("test",)))


async def aged(store: Store, url: str, *sent: str) -> Store:
    """This release's store, on the database of an earlier release."""
    await store.engine.write(lambda tx: age(tx, map(wamid, sent)))
    assert in_clear(await dump(url))
    return await reopened(store, url)


async def dump(url: str) -> bytes:
    return await (sqlite_dump(url) if url.startswith("sqlite") else postgres_dump(url))


def in_clear(dumped: bytes) -> bool:
    return b"wamid." in dumped or PHONE.encode() in dumped


async def rows(store: Store, table: str) -> list[Row[Any]]:
    def read(tx: Tx) -> list[Row[Any]]:
        return list(tx.execute(schema.metadata.tables[table].select()).all())

    return await store.engine.read(read)


@pytest.mark.parametrize("sealed", [False, True])
async def test_earlier_ids_are_found_before_and_after_sealing(store: Store, database_url: str, *, sealed: bool) -> None:
    first = await answered(store, "m1")
    [lease] = await pull(store)
    await ack(store, lease, channel_message_id=wamid("w1"))
    inline = await answered(store, "m2", ReplyMode.INLINE)
    await answered(store, "m3")
    dead = await given_up(store, "m4")
    store = await aged(store, database_url, "w1")
    try:
        if sealed:
            assert await store.keys.seal_clear_ids() > 0
        again = await accept(store, said("m1"))
        assert (again.duplicate, again.seq) == (True, first.seq)
        with pytest.raises(AlreadyExists):
            await accept(store, said("m1", text="other words"))
        ours = await store.quotes.find(first.person_id, CHANNEL, ADDRESS, wamid("w1"))
        theirs = await store.quotes.find(first.person_id, CHANNEL, ADDRESS, wamid("m3"))
        assert ours is not None
        assert theirs is not None
        assert (ours.payload, theirs.payload) == (Payload(Text("done")), Payload(Text("m3")))
        assert await receipt(store, "", "read", part=0, parts=0, channel_message_id=wamid("w1")) == 1
        told = await store.inbox.answer_of(inline.person_id, inline.seq)
        assert [one.answers_message_id for one in told.replies] == [wamid("m2")]
        assert [one.reply.answers_message_id for one in await pull(store, now=LATER)] == [wamid("m3")]
        [letter], _ = await store.admin.dead_letters(dead.person_id, limit=9, before="")
        assert letter.seq == dead.seq
        assert (await accept(store, said("m5"))).duplicate is False
    finally:
        await store.close()


async def test_no_id_is_left_in_clear(store: Store, database_url: str) -> None:
    for name in ("m1", "m2", "m3"):
        await answered(store, name)
        for lease in await pull(store):
            await ack(store, lease, channel_message_id=wamid(f"sent {name}"))
    await given_up(store, "m4")
    store = await aged(store, database_url, *(f"sent m{n}" for n in (1, 2, 3)))
    await store.keys.seal_clear_ids()
    await store.close()
    assert not in_clear(await dump(database_url))


async def test_no_id_is_left_in_freed_space_of_the_file(sqlite_url: str) -> None:
    store = await open_store(sqlite_url, keys("test"))
    for number in range(60):
        await accept(store, said(f"m{number}", text="x" * 2_000, user=f"user {number}"))

    def forget(tx: Tx) -> None:
        age(tx)
        tx.execute(schema.message.delete().where(schema.message.c.seq % 2 == 0))

    await store.engine.write(forget)
    store = await reopened(store, sqlite_url)
    try:
        assert in_clear(await dump(sqlite_url))
        await store.keys.seal_clear_ids()
        assert not in_clear(await dump(sqlite_url))  # nor in the log next to it
        assert await store.keys.seal_clear_ids() == 0
    finally:
        await store.close()


async def test_a_failed_rewrite_of_the_file_is_retried(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await open_store(sqlite_url, keys("test"))
    await accept(store, said("m1"))
    await store.engine.write(age)
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode, full.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "_vacuum", Mock(side_effect=full))
        with pytest.raises(StoreUnavailable):
            await store.keys.seal_clear_ids()
    try:
        assert (await accept(store, said("m1"))).duplicate
        assert [row.name for row in await rows(store, "backfill")] == ["vacuum"]
        await store.keys.seal_clear_ids()
        assert await rows(store, "backfill") == []
    finally:
        await store.close()


async def test_no_id_is_left_in_planner_statistics(postgres_url: str) -> None:
    store = await open_store(postgres_url, keys("test"))
    for number in range(20):
        await answered(store, f"m{number}")
    for lease in await pull(store):
        await ack(store, lease, channel_message_id=wamid(lease.reply.id))
    store = await aged(store, postgres_url)
    try:
        await command(postgres_url, "ANALYZE")
        assert in_clear(await _statistics(postgres_url))
        await store.keys.seal_clear_ids()
        assert not in_clear(await _statistics(postgres_url))
    finally:
        await store.close()


async def _statistics(url: str) -> bytes:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats")
    finally:
        await connection.close()
    return repr(rows).encode()


async def test_the_operator_is_informed_of_the_remaining_step(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "VACUUM_BYTES", 1)
    await accept(store, said("m1"))
    store = await aged(store, database_url)
    try:
        for _ in range(2):
            await store.keys.seal_clear_ids()
        [told] = [record.getMessage() for record in caplog.records if "VACUUM" in record.getMessage()]
        assert "low load" in told
    finally:
        await store.close()


async def test_a_dead_letter_that_outlives_its_message_is_sealed_too(store: Store, database_url: str) -> None:
    await answered(store, "m1")
    dead = await given_up(store, "m2")
    store = await aged(store, database_url)
    try:
        await store.engine.write(
            lambda tx: tx.execute(schema.message.delete().where(schema.message.c.seq == dead.seq)).close()
        )
        await store.keys.seal_clear_ids()
        assert [(row.message_seq, row.message_id) for row in await rows(store, "dead_letter")] == [(dead.seq, "")]
    finally:
        await store.close()


async def test_a_receipt_before_its_row_is_digested_is_accepted(store: Store, database_url: str) -> None:
    accepted = await answered(store, "m1")
    [lease] = await pull(store)
    await ack(store, lease, channel_message_id=wamid("w1"))
    store = await aged(store, database_url, "w1")
    try:
        reply_id = lease.reply.id
        assert await receipt(store, reply_id, "failed", channel_message_id=wamid("another"), error_code="1") == 1
        [view], _ = await store.admin.replies(accepted.person_id, limit=9, before="")
        assert view.parts[0].receipt == ""  # it was another message's
        await receipt(store, reply_id, "delivered", channel_message_id=wamid("w1"))
        await store.keys.seal_clear_ids()  # already digested, and stays so
        assert await receipt(store, "", "read", part=0, parts=0, channel_message_id=wamid("w1")) == 1
    finally:
        await store.close()


async def test_sealing_resumes_after_kill_9(store: Store, database_url: str) -> None:
    accepted = [await answered(store, f"m{number}") for number in range(30)]
    await store.engine.write(age)
    await store.close()
    sealing = [sys.executable, "-m", "tests.contract.store.sealing_process", database_url]
    process = await asyncio.create_subprocess_exec(*sealing, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(7):
        assert await process.stdout.readline() == b"sealed\n"
    process.kill()
    await process.wait()
    store = await open_store(database_url, keys("test"))
    try:
        sealed = [row.sealed_id is not None for row in await rows(store, "message")]
        assert 7 <= sum(sealed) < 30
        for number, first in enumerate(accepted):
            again = await accept(store, said(f"m{number}"))
            assert (again.duplicate, again.seq) == (True, first.seq)
        await store.keys.seal_clear_ids()
        assert not any(in_clear(row.message_id.encode()) for row in await rows(store, "message"))
        assert (await accept(store, said("m0"))).duplicate
    finally:
        await store.close()


async def test_each_step_can_be_resumed(store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clear_ids, "STEP", 2)
    for number in range(7):
        await answered(store, f"m{number}")
    store = await aged(store, database_url)
    looked_at = 0
    try:
        for number in range(7):  # each time some ids are in clear, and some are not
            looked_at += await store.engine.write_apart(clear_ids._step)
            assert (await accept(store, said(f"m{number}"))).duplicate
            assert not (await accept(store, said(f"new {number}"))).duplicate
            assert (await accept(store, said(f"new {number}"))).duplicate
            if number == 1:
                store = await reopened(store, database_url)  # up to the last commit
        looked_at += await store.keys.seal_clear_ids()
        # Each exactly once: the earlier messages and replies, and the messages that came meanwhile.
        assert looked_at == 7 + 7 + 7
        assert await rows(store, "backfill") == []
        assert all(row.sealed_id for row in await rows(store, "message"))
    finally:
        await store.close()


async def test_a_person_merged_meanwhile_keeps_their_messages(store: Store, database_url: str) -> None:
    ann, bob = await answered(store, "m1"), await answered(store, "m2", user="bob")
    store = await aged(store, database_url)
    try:
        new = await accept(store, said("m3", user="bob"))
        await store.merging.merge(ann.person_id, bob.person_id, now=NOW)
        await store.keys.seal_clear_ids()
        assert (await accept(store, said("m2", user="bob"))).seq == bob.seq
        assert (await accept(store, said("m3", user="bob"))).seq == new.seq
        turn = await (await own(store, await store.people.surviving(ann.person_id))).open()
        assert [one.message_id for one in turn.messages] == [wamid("m3")]
        leases = await pull(store)
        assert leases[0].reply.answers_message_id in {wamid("m1"), wamid("m2")}
    finally:
        await store.close()


async def test_a_person_with_a_damaged_key_blocks_no_other(store: Store, database_url: str) -> None:
    ann = await answered(store, "m1")
    bob = await answered(store, "m2", user="bob")

    def damage(tx: Tx) -> None:
        tx.execute(schema.person.update().where(schema.person.c.id == ann.person_id).values(data_key=bytes(60)))

    await store.engine.write(damage)
    store = await aged(store, database_url)
    try:
        await store.keys.seal_clear_ids()
        assert not any(in_clear(row.message_id.encode()) for row in await rows(store, "message"))
        for name, first in (("ann", ann), ("bob", bob)):
            again = await accept(store, said("m1" if first is ann else "m2", user=name))
            assert (again.duplicate, again.seq) == (True, first.seq)
    finally:
        await store.close()


async def test_a_new_database_has_no_ids_to_seal(store: Store) -> None:
    await accept(store, said("m1"))
    assert await store.keys.seal_clear_ids() == 0
    assert not await store.engine.read(lambda tx: tx.digests.some_in_clear)


async def test_ids_are_stored_once_and_sealed(store: Store, database_url: str) -> None:
    await answered(store, "m1")
    [lease] = await pull(store)
    await ack(store, lease, channel_message_id=wamid("w1"))
    await given_up(store, "m2")
    assert lease.reply.answers_message_id == wamid("m1")
    assert not in_clear(await dump(database_url))
    for row in await rows(store, "message"):
        assert row.message_id.startswith("hmac:")


async def test_a_message_id_in_the_form_of_a_digest_has_no_effect(store: Store) -> None:
    first = await accept(store, said("m1"))
    [row] = await rows(store, "message")
    copied = await accept(store, Message(f"{CHANNEL}:ann", row.message_id, Payload(Text("m1")), address=ADDRESS))
    assert (copied.duplicate, copied.seq == first.seq) == (False, False)
