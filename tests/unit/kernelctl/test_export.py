"""The folder of an export: complete or absent, with safe names, readable by its owner alone."""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from kernel.v1 import admin_pb2, export_pb2, memory_pb2

from kernelctl.export_folder import ExportFolder
from kernelctl.exporting import export

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kernel.v1.admin_pb2 import ExportPersonResponse

FACT = admin_pb2.ExportPersonResponse(fact=export_pb2.ExportedFact(fact=memory_pb2.Fact(number=1, text="Takes tea\n✓")))


def a_file(file_id: str, mime_type: str = "image/png") -> ExportPersonResponse:
    file = export_pb2.ExportedFile(file_id=file_id, mime_type=mime_type, filename="../../etc/passwd")
    return admin_pb2.ExportPersonResponse(file=file)


def chunk(data: bytes) -> ExportPersonResponse:
    return admin_pb2.ExportPersonResponse(file_chunk=data)


def lines(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "person.jsonl").read_bytes().decode().split("\n")[:-1]]


def test_a_record_is_a_line_and_a_file_has_the_bytes_of_its_chunks(tmp_path: Path) -> None:
    export([FACT, a_file("m_1"), chunk(b"one "), chunk(b"two"), a_file("m_2", "text/x-odd"), FACT], tmp_path / "out")
    fact = {"fact": {"fact": {"number": 1, "text": "Takes tea\n✓"}}}
    assert [line for line in lines(tmp_path / "out") if "fact" in line] == [fact, fact]
    assert [line["path"] for line in lines(tmp_path / "out") if "file" in line] == ["files/m_1.png", "files/m_2"]
    assert (tmp_path / "out/files/m_1.png").read_bytes() == b"one two"
    assert (tmp_path / "out/files/m_2").read_bytes() == b""


@pytest.mark.parametrize("odd", ["../m_1", "/m_1", "m/1", ".", "", "m\0", "m" * 200, "ｍ"])
def test_an_odd_id_is_no_path(tmp_path: Path, odd: str) -> None:
    export([a_file(odd), chunk(b"x")], tmp_path / "out")
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {
        "out/person.jsonl",
        "out/files/file_1.png",
    }


def test_a_file_that_is_not_whole_says_so(tmp_path: Path) -> None:
    broken = admin_pb2.ExportPersonResponse(file_chunk=b"", unreadable=["file_chunk"])
    export([a_file("m_1"), chunk(b"begin"), broken, FACT], tmp_path / "out")
    assert [line.get("unreadable") for line in lines(tmp_path / "out")] == [None, ["file_chunk"], None]


def test_an_empty_folder_is_taken_and_another_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    export([FACT], tmp_path / "out")
    with pytest.raises(SystemExit) as refused:
        export([FACT], tmp_path / "out")
    assert refused.value.code == 2
    assert capsys.readouterr().err == f"kernelctl: {tmp_path / 'out'} cannot be written: Directory not empty\n"
    assert len(lines(tmp_path / "out")) == 1


def test_an_export_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def breaks() -> Iterator[ExportPersonResponse]:
        yield FACT
        assert [path.name for path in tmp_path.iterdir()] != ["out"]
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        export(breaks(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemExit) as ended:
        export([FACT, a_file("m_1"), chunk(b"x")], tmp_path / "out")
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"kernelctl: {tmp_path / 'out'} cannot be written: No space left on device\n"
    assert list(tmp_path.iterdir()) == []


def test_a_record_of_a_later_release_is_left_out(tmp_path: Path) -> None:
    with ExportFolder(tmp_path / "out") as folder:
        folder.add(admin_pb2.ExportPersonResponse())
        folder.finish()
    assert lines(tmp_path / "out") == []
