from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from kernel_service.storage.opening.migrating import SCHEMA_NUMBER
from kernelctl.checks.results import Result, Status
from tests.migrated_sqlite import KEYS, copy_migrated, open_migrated

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.kernelctl.vendors import Vendors

OTHER_KEYS = KEYS.replace("k1:", "k2:")
SAME_ID = "k1:cThacjJuVnc3THhUZjNLZEptNUhzWWI5MXVXcFg0ZUc="


@pytest.fixture
async def stored(real: Vendors) -> Vendors:
    await copy_migrated(real.folder / "kernel.db")
    real.values |= {"KERNEL_DATABASE_URL": f"sqlite:///{real.folder}/kernel.db", "KERNEL_ENCRYPTION_KEYS": KEYS}
    return real


async def test_a_database_that_fits_is_fine_also_beside_a_running_service(real: Vendors) -> None:
    store = await open_migrated(real.folder)
    real.values |= {"KERNEL_DATABASE_URL": "sqlite:///kernel.db", "KERNEL_ENCRYPTION_KEYS": KEYS}
    assert [result.status for result in await real.check("database")] == [Status.OK, Status.OK]
    await store.close()


@pytest.mark.parametrize("keys", [OTHER_KEYS, SAME_ID])
async def test_keys_that_do_not_open_the_data_are_found(stored: Vendors, keys: str) -> None:
    stored.values["KERNEL_ENCRYPTION_KEYS"] = keys
    found = await stored.finding("database")
    assert "does not open what the database holds" in found.text
    assert keys not in str(found)


async def with_schema(stored: Vendors, number: int, oldest_reader: int) -> Result:
    with sqlite3.connect(stored.folder / "kernel.db") as connection:
        connection.execute("UPDATE schema_version SET number = ?, oldest_reader = ?", (number, oldest_reader))
    connection.close()
    [result] = await stored.check("database.schema")
    return result


async def test_the_schema_of_another_version_is_told(stored: Vendors) -> None:
    older = await with_schema(stored, 20, 20)
    migrates = f"the database has schema 20: the next start migrates it to {SCHEMA_NUMBER}"
    assert (older.status, older.text) == (Status.NOTE, migrates)
    readable = await with_schema(stored, 99, 1)
    assert (readable.status, "can still use it" in readable.text) == (Status.NOTE, True)
    newer = await with_schema(stored, 99, 99)
    assert newer.status is Status.ERROR
    assert "Install the newer version" in newer.fix


async def test_a_file_that_is_no_database_is_found(stored: Vendors) -> None:
    (stored.folder / "kernel.db").write_text("not a database, but a text that is long enough" * 100)
    assert "cannot be used" in (await stored.finding("database")).text


async def test_no_database_yet_is_a_note(real: Vendors) -> None:
    real.values["KERNEL_DATABASE_URL"] = "sqlite:///var/kernel.db"
    assert [result.status for result in await real.check("database")] == [Status.NOTE, Status.SKIPPED]
    assert not (real.folder / "var").exists()


async def test_postgresql_is_looked_at_without_a_change(real: Vendors, postgres_url: str) -> None:
    real.values |= {"KERNEL_DATABASE_URL": postgres_url, "KERNEL_ENCRYPTION_KEYS": KEYS}
    schema = await real.check("database.schema")
    assert [result.status for result in schema] == [Status.OK], schema


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda url: "postgresql://u:hidden-word@127.0.0.1:9/x", "cannot be used"),
        (lambda url: "postgresql://u:hidden-word@no.invalid/x", "cannot be used"),
        (lambda url: url.rpartition("/")[0] + "/missing", "cannot be used"),
    ],
    ids=["refused", "unresolved", "missing"],
)
async def test_a_server_that_is_not_reached_is_found(
    real: Vendors, postgres_url: str, change: Callable[[str], str], text: str
) -> None:
    address, _, query = postgres_url.partition("?")
    real.values |= {"KERNEL_DATABASE_URL": f"{change(address)}{'?' + query if query else ''}"}
    found = await real.finding("database")
    assert text in found.text
    assert "hidden-word" not in str(found)
