"""After a start no other user of the machine can read the stored data, under any umask and earlier file modes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from tests.integration.test_rotate_keys import NEW, Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = {"kernel.db": 0o600, "kernel.db-wal": 0o600, "kernel.db-shm": 0o600, "kernel.db.lock": 0o600}


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir() if file.name in FILES}


async def test_a_start_makes_private_files_in_a_private_folder(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path, tmp_path / "new" / "var")
    async with kernel.running(NEW):
        assert modes(tmp_path / "new" / "var") == FILES
        assert [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in ("new", "new/var")] == [0o700] * 2


async def test_a_start_closes_what_was_open_also_after_a_kill(tmp_path: Path) -> None:
    var = tmp_path / "var"
    kernel = Kernel(tmp_path, var)
    async with kernel.running(NEW) as process:
        process.kill()  # the journals stay
        await process.wait()
    for file in var.iterdir():
        file.chmod(0o666)
    var.chmod(0o777)
    async with kernel.running(NEW):
        assert modes(var) == FILES
        assert stat.S_IMODE(var.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
async def test_a_folder_of_another_user_is_told_and_the_service_starts(tmp_path: Path) -> None:
    var = tmp_path / "var"
    var.mkdir(0o755)
    os.chown(var, 4711, 4711)
    kernel = Kernel(tmp_path, var)
    async with kernel.running(NEW):
        assert modes(var) == FILES
    assert stat.S_IMODE(var.stat().st_mode) == 0o755
    assert "belongs to user 4711" in kernel.log()
