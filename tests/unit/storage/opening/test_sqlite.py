"""A file that cannot be used, and a file of a newer release: each is told in a sentence, and is left as it is."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from kernel_service.storage.nodes.schema_guard import SchemaTooNewError
from kernel_service.storage.opening.migrating import SCHEMA_NUMBER
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.opening.sqlite import DatabaseFileError
from kernel_service.storage.sealing.ciphers import MasterKeys
from tests.migrated_sqlite import KEYS, copy_migrated
from tests.read_only import enterable, read_only

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = 4096
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "another kind of file": lambda _: b"hello\n",
    "noise": lambda good: os.urandom(len(good)),
    "truncated": lambda good: good[: 4 * PAGE + 1000],
    "without its last page": lambda good: good[:-PAGE],
    "noise behind its first pages": lambda good: good[: 2 * PAGE] + os.urandom(len(good) - 2 * PAGE),
    "a broken first page": lambda good: good[:100] + os.urandom(PAGE - 100) + good[PAGE:],
}


async def opened(file: Path) -> None:
    store = await open_store(f"sqlite:///{file}", MasterKeys.parse(KEYS))
    await store.close()


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_a_damaged_file_is_named_with_the_remedy(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    file = tmp_path / "kernel.db"
    await copy_migrated(file)
    damaged = damage(file.read_bytes())
    file.write_bytes(damaged)
    with pytest.raises(DatabaseFileError, match=f"^{file} is damaged, .*SQLITE_[A-Z]+.*: restore a backup"):
        await opened(file)
    assert file.read_bytes() == damaged


@pytest.mark.parametrize(("needs", "fits"), [(SCHEMA_NUMBER, True), (SCHEMA_NUMBER + 1, False)])
async def test_a_rollback_works_if_the_newer_schema_allows_it(tmp_path: Path, needs: int, *, fits: bool) -> None:
    file = tmp_path / "kernel.db"
    await copy_migrated(file)
    with sqlite3.connect(file) as newer:
        newer.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (?, ?)", (SCHEMA_NUMBER + 1, needs))
    newer.close()
    before = file.read_bytes()
    if fits:
        await opened(file)
        return
    with pytest.raises(
        SchemaTooNewError, match=rf"has schema {needs}, .* this one is of schema {SCHEMA_NUMBER}: upgrade"
    ):
        await opened(file)
    assert file.read_bytes() == before


async def test_a_read_only_folder_is_named_with_the_remedy() -> None:
    with enterable() as folder, read_only(folder):
        remedy = f"Let this user write to the folder {folder} and the files in it"
        with pytest.raises(DatabaseFileError, match=f"/kernel.db cannot be used: Permission denied. {remedy}"):
            await opened(folder / "kernel.db")
