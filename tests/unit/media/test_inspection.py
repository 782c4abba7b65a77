from __future__ import annotations

import pytest

from kernel_service.media.inspection import Inspection, needs_password
from kernel_service.ports.media import FileProblem, ReadAs
from tests.integration.files import pdf, png

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def inspected(read_as: ReadAs, mime_type: str, data: bytes, *, piece: int = 100_000) -> Inspection:
    inspection = Inspection(read_as, mime_type)
    for start in range(0, len(data), piece):
        inspection.see(data[start : start + piece])
    return inspection


@pytest.mark.parametrize(
    ("read_as", "mime_type", "data", "problem"),
    [
        (ReadAs.SEE, "image/png", png(), FileProblem.NONE),
        (ReadAs.SEE, "image/png", b"GIF89a", FileProblem.NONE),
        (ReadAs.SEE, "image/png", b"<svg>", FileProblem.WRONG_TYPE),
        (ReadAs.READ, "application/pdf", pdf("x"), FileProblem.NONE),
        (ReadAs.READ, "application/pdf", b"\n" * 900 + pdf("x"), FileProblem.NONE),
        (ReadAs.READ, "application/pdf", b"MZ", FileProblem.WRONG_TYPE),
        (ReadAs.READ, DOCX, b"PK\x03\x04", FileProblem.NONE),
        (ReadAs.READ, DOCX, OLE, FileProblem.LOCKED),
        (ReadAs.READ, DOCX, b"text", FileProblem.WRONG_TYPE),
        (ReadAs.READ, "text/plain", b"words", FileProblem.NONE),
        (ReadAs.HEAR, "audio/ogg", b"", FileProblem.UNREADABLE),
    ],
)
def test_the_bytes_decide_the_problem(read_as: ReadAs, mime_type: str, data: bytes, problem: FileProblem) -> None:
    assert inspected(read_as, mime_type, data).problem is problem
    assert inspected(read_as, mime_type, data, piece=3).problem is problem


def test_a_picture_is_known_by_its_bytes() -> None:
    assert inspected(ReadAs.SEE, "image/jpeg", png()).mime_type == "image/png"


@pytest.mark.parametrize(
    ("read_as", "data", "mime_type"),
    [
        (ReadAs.SEE, png(), "image/png"),
        (ReadAs.SEE, b"\xff\xd8\xff\xe0jpeg", "image/jpeg"),
        (ReadAs.SEE, b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (ReadAs.SEE, b"GIF89a", "image/gif"),
        (ReadAs.HEAR, b"OggS\0\2", "audio/ogg"),
        (ReadAs.HEAR, b"ID3\4", "audio/mpeg"),
        (ReadAs.HEAR, b"\xff\xfb\x90\x64", "audio/mpeg"),
        (ReadAs.HEAR, b"\xff\xf3\x40\xc4", "audio/mpeg"),
        (ReadAs.HEAR, b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (ReadAs.HEAR, b"\0\0\0\x1cftypM4A ", "audio/mp4"),
        (ReadAs.HEAR, b"fLaC\0", "audio/flac"),
        (ReadAs.HEAR, b"\x1aE\xdf\xa3", "audio/webm"),
    ],
)
@pytest.mark.parametrize("said", ["", "application/octet-stream", "text/plain", "audio/ogg", "image/png"])
def test_without_a_type_or_with_a_wrong_one_the_bytes_tell(
    read_as: ReadAs, data: bytes, mime_type: str, said: str
) -> None:
    inspection = inspected(read_as, said, data, piece=2)
    assert (inspection.mime_type, inspection.problem) == (mime_type, FileProblem.NONE)


@pytest.mark.parametrize(
    ("read_as", "data"),
    [
        (ReadAs.SEE, b"OggS\0\2"),
        (ReadAs.SEE, b"\0\0\0\x18ftypheic"),
        (ReadAs.SEE, b"<html>"),
        (ReadAs.HEAR, png()),
        (ReadAs.HEAR, b"#!AMR\n"),
        (ReadAs.HEAR, b"\xff\xf1\x50\x80"),
        (ReadAs.HEAR, b"\xff"),
        (ReadAs.HEAR, b"words"),
    ],
)
def test_bytes_of_an_unknown_type_are_not_opened(read_as: ReadAs, data: bytes) -> None:
    assert inspected(read_as, "application/octet-stream", data).problem is FileProblem.WRONG_TYPE


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_a_word_of_encryption_is_found_wherever_the_pieces_part(piece: int) -> None:
    assert inspected(ReadAs.READ, "application/pdf", pdf("x", password="a"), piece=piece).may_be_locked
    assert not inspected(ReadAs.READ, "application/pdf", pdf("x"), piece=piece).may_be_locked


def test_a_password() -> None:
    assert needs_password(pdf("x", password="secret"))
    assert not needs_password(pdf("x", password=""))
    assert not needs_password(pdf("x"))
    assert not needs_password(b"%PDF-1.7 /Encrypt nonsense")
