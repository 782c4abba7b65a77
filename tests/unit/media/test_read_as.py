from __future__ import annotations

import pytest

from kernel_service.media.read_as import effective_type, named, read_as_of
from kernel_service.ports.media import ReadAs

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("kind", "mime_type", "filename", "read_as"),
    [
        ("image", "image/jpeg", "", ReadAs.SEE),
        ("image", "image/heic", "", None),
        ("document", "image/png", "scan.png", ReadAs.SEE),
        ("audio", "audio/ogg; codecs=opus", "", ReadAs.HEAR),
        ("audio", "audio/amr", "", None),
        ("document", "audio/mpeg", "talk.mp3", ReadAs.HEAR),
        ("document", "application/pdf", "", ReadAs.READ),
        ("document", DOCX, "a.docx", ReadAs.READ),
        ("document", "application/octet-stream", "A.PDF", ReadAs.READ),
        ("document", "application/vnd.ms-excel", "sums.csv", ReadAs.READ),
        ("document", "application/vnd.ms-excel", "sums.xls", None),
        ("document", "text/x-python", "a.py", ReadAs.READ),
        ("document", "application/zip", "a.pdf", None),
        ("video", "video/mp4", "", None),
        ("sticker", "image/webp", "", None),
        ("image", "image/svg+xml", "", None),
        ("audio", "audio/aac", "", None),
        # Sent as a picture or a sound: the bytes tell what it is.
        ("image", "", "", ReadAs.SEE),
        ("image", "application/octet-stream", "", ReadAs.SEE),
        ("image", "application/pdf", "", ReadAs.SEE),
        ("image", "image/jpg", "", ReadAs.SEE),
        ("image", "image/unheard-of", "", ReadAs.SEE),
        ("audio", "", "", ReadAs.HEAR),
        ("audio", "binary/octet-stream", "", ReadAs.HEAR),
        ("audio", "video/mp4", "", ReadAs.HEAR),
        ("audio", "Application/OGG; codecs=opus", "", ReadAs.HEAR),
        ("document", "", "photo.JPG", ReadAs.SEE),
        ("document", "application/octet-stream", "note.opus", None),
        ("document", "application/octet-stream", "note.mp3", ReadAs.HEAR),
        ("document", "", "unnamed", None),
    ],
)
def test_how_a_file_is_opened(kind: str, mime_type: str, filename: str, read_as: ReadAs | None) -> None:
    assert read_as_of(kind, mime_type, filename) is read_as


@pytest.mark.parametrize(
    ("mime_type", "filename", "name"),
    [
        ("application/pdf", "bill.pdf", "bill.pdf"),
        ("application/pdf", "bill", "bill.pdf"),
        ("application/pdf", "bill.2026", "bill.pdf"),
        ("application/pdf", "", "file.pdf"),
        ("audio/ogg", "", "file.ogg"),
        ("text/x-python", "", "file.txt"),
        ("image/png", "", "file"),
    ],
)
def test_a_name_has_the_suffix_of_its_type(mime_type: str, filename: str, name: str) -> None:
    assert named(mime_type, filename) == name


def test_parameters_are_no_part_of_a_type() -> None:
    assert effective_type("Audio/OGG; codecs=opus", "") == "audio/ogg"
