"""SQLite's specifics: one process, each commit on disk, the process ends when the disk fails."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from kernel_service.errors import StoreUnavailable
from kernel_service.ports.messages import Message
from kernel_service.ports.payloads import Payload, Text
from kernel_service.storage.engine import sqlite
from kernel_service.storage.engine.batch import EX_IOERR
from kernel_service.storage.engine.file_lock import DatabaseInUseError
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.sealing.ciphers import MasterKeys

if TYPE_CHECKING:
    from pathlib import Path

    from kernel_service.storage.engine.engine import Tx

SETTING = "test:" + base64.b64encode(b"k" * 32).decode()
KEYS = MasterKeys.parse(SETTING)


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'deeper' / 'kernel.db'}"


async def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    store = await open_store(url_of(tmp_path), KEYS)
    with pytest.raises(DatabaseInUseError, match=r"kernel\.db.*PostgreSQL"):
        await open_store(url_of(tmp_path), KEYS)
    await store.ping()
    await store.close()
    await (await open_store(url_of(tmp_path), KEYS)).close()


async def test_a_failed_start_leaves_the_file_free(tmp_path: Path) -> None:
    path = tmp_path / "kernel.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(Exception, match="is no SQLite database"):
        await open_store(f"sqlite:///{path}", KEYS)
    path.unlink()
    await (await open_store(f"sqlite:///{path}", KEYS)).close()


async def test_every_commit_is_synced_to_disk(tmp_path: Path) -> None:
    store = await open_store(url_of(tmp_path), KEYS)

    def pragmas(tx: Tx) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [tx.execute(text(f"PRAGMA {name}")).scalar_one() for name in names]

    assert await store.engine.read(pragmas) == ["wal", 2, 1]
    await store.close()


async def test_group_that_changes_many_pages_makes_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "PRAGMAS", (*sqlite.PRAGMAS, "PRAGMA busy_timeout = 10"))
    store = await open_store(url_of(tmp_path), KEYS)

    def is_in_memory(tx: Tx) -> bool:
        return bool(tx.execute(text("PRAGMA temp_store")).scalar_one() == 2)

    assert await store.engine.write(is_in_memory)
    await store.engine.vacuum()  # the copy of a large file is no matter for the memory
    assert await store.engine.write(is_in_memory)
    with closing(sqlite3.connect(tmp_path / "deeper" / "kernel.db", isolation_level=None)) as intruder:
        intruder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await store.engine.vacuum()
    assert await store.engine.write(is_in_memory)
    await store.close()


async def test_deleted_values_are_overwritten(tmp_path: Path) -> None:
    store = await open_store(url_of(tmp_path), KEYS)
    for marked in ("marked-1" * 2_000, "marked-2"):  # whole freed pages, and part of a page

        def come_and_go(tx: Tx, link: str = marked) -> None:
            tx.execute(text("INSERT INTO chat VALUES ('test', 'a', :link)"), {"link": link})

        await store.engine.write(come_and_go)
        await store.engine.write(lambda tx: tx.execute(text("DELETE FROM chat")))
    await store.close()  # closing moves the journal's content into the file
    assert b"marked-" not in (tmp_path / "deeper" / "kernel.db").read_bytes()


async def test_a_locked_database_is_unavailable_and_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PRAGMAS", (*sqlite.PRAGMAS, "PRAGMA busy_timeout = 10"))
    store = await open_store(url_of(tmp_path), KEYS)
    message = Message("test:ann", "m1", Payload(Text("hello")))
    intruder = sqlite.connect(tmp_path / "deeper" / "kernel.db")
    with (
        intruder.connect() as connection,
        connection.execution_options(immediate=True).begin(),
        pytest.raises(StoreUnavailable),
    ):
        await store.inbox.accept(message, now=1, max_pending=9)
    intruder.dispose()
    assert not (await store.inbox.accept(message, now=1, max_pending=9)).duplicate
    await store.close()


async def test_a_failed_commit_leaves_no_transaction_open(tmp_path: Path) -> None:
    store = await open_store(url_of(tmp_path), KEYS)
    late = "CREATE TABLE late (of TEXT REFERENCES person (id) DEFERRABLE INITIALLY DEFERRED)"
    await store.engine.write(lambda tx: tx.execute(text(late)))
    with pytest.raises(IntegrityError):
        await store.engine.write(lambda tx: tx.execute(text("INSERT INTO late VALUES ('no person')")))
    assert await store.engine.write(lambda tx: tx.execute(text("SELECT count(*) FROM late")).scalar_one()) == 0
    await store.close()


@pytest.mark.parametrize("kind", ["read", "write"])
async def test_a_statement_that_stops_at_a_damaged_row_does_not_hold_the_log(tmp_path: Path, kind: str) -> None:
    store = await open_store(url_of(tmp_path), KEYS)
    rows = text("INSERT INTO chat VALUES ('test', CAST(x'ff' AS TEXT), 'a link'), ('test', 'whole', 'a link')")
    await store.engine.write(lambda tx: tx.execute(rows))
    run = store.engine.read if kind == "read" else store.engine.write
    with pytest.raises(OperationalError, match="decode"):
        await run(lambda tx: tx.execute(text("SELECT * FROM chat")))
    with closing(sqlite3.connect(tmp_path / "deeper" / "kernel.db")) as beside:
        [is_busy, *_] = beside.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert not is_busy
    await store.close()


@pytest.mark.parametrize(("problem", "is_kept"), [(sqlite3.SQLITE_BUSY, True), (sqlite3.SQLITE_CANTOPEN, False)])
async def test_a_reader_keeps_its_connection_unless_a_fault_may_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: int, *, is_kept: bool
) -> None:
    monkeypatch.setattr(sqlite, "READERS", 1)
    store = await open_store(url_of(tmp_path), KEYS)
    held = await store.engine.read(lambda tx: tx.connection)

    def fail(_: Tx) -> None:
        failure = sqlite3.OperationalError("a fault")
        failure.sqlite_errorcode = problem
        raise OperationalError("a statement", None, failure)

    with pytest.raises(StoreUnavailable):
        await store.engine.read(fail)
    assert (await store.engine.read(lambda tx: tx.connection) is held) == is_kept
    await store.close()


async def test_a_reader_whose_unit_failed_sees_what_is_written_later(tmp_path: Path) -> None:
    store = await open_store(url_of(tmp_path), KEYS)
    count = text("SELECT count(*) FROM chat")

    def fail(tx: Tx) -> None:
        assert tx.execute(count).scalar_one() == 0
        raise LookupError

    with pytest.raises(LookupError):
        await store.engine.read(fail)
    await store.engine.write(lambda tx: tx.execute(text("INSERT INTO chat VALUES ('test', 'a', '')")))
    assert await store.engine.read(lambda tx: tx.execute(count).scalar_one()) == 1
    await store.close()


@pytest.mark.parametrize("url", ["mysql://host/db", "kernel.db", "sqlite://"])
async def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must .*sqlite:///"):
        await open_store(url, KEYS)


DISK_FAILS = """
import asyncio, resource, sys
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.messages import Message
from kernel_service.storage.sealing.ciphers import MasterKeys
from kernel_service.storage.opening.open_store import open_store

async def main():
    store = await open_store(sys.argv[1], MasterKeys.parse(sys.argv[2]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
    for number in range(100):
        said = Message("test:ann", str(number), Payload(Text("x" * 50_000)))
        print((await store.inbox.accept(said, now=1, max_pending=999)).seq, flush=True)

asyncio.run(main())
"""


def test_a_failing_disk_ends_the_process_and_keeps_acknowledged_writes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DISK_FAILS, url_of(tmp_path), SETTING]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == EX_IOERR, ended.stderr
    assert "the process ends" in ended.stderr
    answered = ended.stdout.split()
    assert answered
    assert asyncio.run(waiting(url_of(tmp_path)))[: len(answered)] == answered


async def waiting(url: str) -> list[str]:
    store = await open_store(url, KEYS)
    person = await store.people.last_person_of("test:ann")
    assert person is not None
    _, messages, _ = await store.admin.turns(person, limit=1, before="")
    await store.close()
    return [str(seq) for seq, _ in messages]


@pytest.mark.parametrize(
    ("problem", "ends"),
    [
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_BUSY, False),
        (sqlite3.SQLITE_LOCKED, False),
        (sqlite3.SQLITE_READONLY, False),
        (sqlite3.SQLITE_CANTOPEN, False),
        (sqlite3.SQLITE_IOERR_SHMSIZE, False),  # a full disk: nothing was written
        (sqlite3.SQLITE_IOERR_FSYNC, True),
        (sqlite3.SQLITE_IOERR_WRITE, True),
        (sqlite3.SQLITE_CORRUPT, True),
    ],
)
async def test_only_an_unknown_durable_state_ends_the_process(tmp_path: Path, problem: int, *, ends: bool) -> None:
    reasons: list[str] = []
    store = await open_store(url_of(tmp_path), KEYS, end_process=reasons.append)
    failure = sqlite3.OperationalError("a fault")
    failure.sqlite_errorcode = problem
    failure.sqlite_errorname = "SQLITE_ITS_NAME"

    def fail(_: Tx) -> None:
        raise OperationalError("a statement", None, failure)

    with pytest.raises(StoreUnavailable):
        await store.engine.write(fail)
    assert [("SQLITE_ITS_NAME" in reason) for reason in reasons] == [True] * ends
    await store.ping()
    await store.close()
