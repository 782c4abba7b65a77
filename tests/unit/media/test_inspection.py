from __future__ import annotations

import pytest

from kernel_service.media.inspection import Inspection, Problem, needs_password
from kernel_service.media.opening import Opening
from tests.integration.files import pdf, png

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def inspected(opening: Opening, mime_type: str, data: bytes, *, piece: int = 100_000) -> Inspection:
    inspection = Inspection(opening, mime_type)
    for start in range(0, len(data), piece):
        inspection.see(data[start : start + piece])
    return inspection


@pytest.mark.parametrize(
    ("opening", "mime_type", "data", "problem"),
    [
        (Opening.SEE, "image/png", png(), Problem.NONE),
        (Opening.SEE, "image/png", b"GIF89a", Problem.NONE),
        (Opening.SEE, "image/png", b"<svg>", Problem.WRONG_TYPE),
        (Opening.READ, "application/pdf", pdf("x"), Problem.NONE),
        (Opening.READ, "application/pdf", b"\n" * 900 + pdf("x"), Problem.NONE),
        (Opening.READ, "application/pdf", b"MZ", Problem.WRONG_TYPE),
        (Opening.READ, DOCX, b"PK\x03\x04", Problem.NONE),
        (Opening.READ, DOCX, OLE, Problem.LOCKED),
        (Opening.READ, DOCX, b"text", Problem.WRONG_TYPE),
        (Opening.READ, "text/plain", b"words", Problem.NONE),
        (Opening.HEAR, "audio/ogg", b"", Problem.UNREADABLE),
    ],
)
def test_what_the_bytes_tell(opening: Opening, mime_type: str, data: bytes, problem: Problem) -> None:
    assert inspected(opening, mime_type, data).problem is problem
    assert inspected(opening, mime_type, data, piece=3).problem is problem


def test_a_picture_is_known_by_its_bytes() -> None:
    assert inspected(Opening.SEE, "image/jpeg", png()).mime_type == "image/png"


@pytest.mark.parametrize(
    ("opening", "data", "mime_type"),
    [
        (Opening.SEE, png(), "image/png"),
        (Opening.SEE, b"\xff\xd8\xff\xe0jpeg", "image/jpeg"),
        (Opening.SEE, b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (Opening.SEE, b"GIF89a", "image/gif"),
        (Opening.HEAR, b"OggS\0\2", "audio/ogg"),
        (Opening.HEAR, b"ID3\4", "audio/mpeg"),
        (Opening.HEAR, b"\xff\xfb\x90\x64", "audio/mpeg"),
        (Opening.HEAR, b"\xff\xf3\x40\xc4", "audio/mpeg"),
        (Opening.HEAR, b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (Opening.HEAR, b"\0\0\0\x1cftypM4A ", "audio/mp4"),
        (Opening.HEAR, b"fLaC\0", "audio/flac"),
        (Opening.HEAR, b"\x1aE\xdf\xa3", "audio/webm"),
    ],
)
@pytest.mark.parametrize("said", ["", "application/octet-stream", "text/plain", "audio/ogg", "image/png"])
def test_without_a_type_or_with_a_wrong_one_the_bytes_tell(
    opening: Opening, data: bytes, mime_type: str, said: str
) -> None:
    inspection = inspected(opening, said, data, piece=2)
    assert (inspection.mime_type, inspection.problem) == (mime_type, Problem.NONE)


@pytest.mark.parametrize(
    ("opening", "data"),
    [
        (Opening.SEE, b"OggS\0\2"),
        (Opening.SEE, b"\0\0\0\x18ftypheic"),
        (Opening.SEE, b"<html>"),
        (Opening.HEAR, png()),
        (Opening.HEAR, b"#!AMR\n"),
        (Opening.HEAR, b"\xff\xf1\x50\x80"),
        (Opening.HEAR, b"\xff"),
        (Opening.HEAR, b"words"),
    ],
)
def test_what_the_bytes_do_not_tell_is_not_opened(opening: Opening, data: bytes) -> None:
    assert inspected(opening, "application/octet-stream", data).problem is Problem.WRONG_TYPE


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_a_word_of_encryption_is_found_wherever_the_pieces_part(piece: int) -> None:
    assert inspected(Opening.READ, "application/pdf", pdf("x", password="a"), piece=piece).may_be_locked
    assert not inspected(Opening.READ, "application/pdf", pdf("x"), piece=piece).may_be_locked


def test_a_password() -> None:
    assert needs_password(pdf("x", password="secret"))
    assert not needs_password(pdf("x", password=""))
    assert not needs_password(pdf("x"))
    assert not needs_password(b"%PDF-1.7 /Encrypt nonsense")
