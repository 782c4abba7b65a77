"""Files that other users of the machine cannot read: from their creation, and again after their rights were widened."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from serving.private_files import close_file, close_folder, make_file, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_and_files_are_made_private_whatever_the_umask(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_file(tmp_path / "a" / "b" / "c")
    assert [mode(tmp_path / path) for path in ("a", "a/b", "a/b/c")] == [0o700, 0o700, 0o600]


def test_existing_content_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("words")
    make_folder(tmp_path)
    make_file(file)
    assert file.read_text() == "words"


def test_concurrent_calls_create_one_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c"
    makers = [threading.Thread(target=make_folder, args=(folder,)) for _ in range(20)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert mode(folder) == 0o700


def test_a_file_is_refused_as_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FileExistsError):
            make_folder(folder)


@pytest.mark.parametrize(("before", "after"), [(0o666, 0o600), (0o644, 0o600), (0o640, 0o600), (0o400, 0o400)])
def test_open_rights_are_removed_and_other_rights_stay(tmp_path: Path, before: int, after: int) -> None:
    file = tmp_path / "file"
    file.touch(before)
    close_file(file)
    close_file(tmp_path / "none")
    assert mode(file) == after


def test_a_path_of_another_user_is_reported_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    close_folder(tmp_path)
    assert mode(tmp_path) == 0o755
    assert f"chmod go= {tmp_path}" in caplog.text


def test_a_volume_without_modes_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    tmp_path.chmod(0o755)
    monkeypatch.setattr(type(tmp_path), "chmod", refused)
    close_folder(tmp_path)
    assert f"chmod go= {tmp_path}" in caplog.text


def test_folders_that_may_hold_other_files_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, shared = tmp_path / "home" / "project", tmp_path / "shared"
    here.mkdir(parents=True)
    shared.mkdir()
    shared.chmod(0o1777)
    monkeypatch.chdir(here)
    for folder in (here, here.parent, shared):
        before = mode(folder)
        close_folder(folder)
        assert mode(folder) == before
