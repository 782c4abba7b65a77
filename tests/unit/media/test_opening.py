from __future__ import annotations

import pytest

from kernel_service.media.opening import Opening, named, opening_of, true_type

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("kind", "mime_type", "filename", "opening"),
    [
        ("image", "image/jpeg", "", Opening.SEE),
        ("image", "image/heic", "", None),
        ("document", "image/png", "scan.png", Opening.SEE),
        ("audio", "audio/ogg; codecs=opus", "", Opening.HEAR),
        ("audio", "audio/amr", "", None),
        ("document", "audio/mpeg", "talk.mp3", Opening.HEAR),
        ("document", "application/pdf", "", Opening.READ),
        ("document", DOCX, "a.docx", Opening.READ),
        ("document", "application/octet-stream", "A.PDF", Opening.READ),
        ("document", "application/vnd.ms-excel", "sums.csv", Opening.READ),
        ("document", "application/vnd.ms-excel", "sums.xls", None),
        ("document", "text/x-python", "a.py", Opening.READ),
        ("document", "application/zip", "a.pdf", None),
        ("video", "video/mp4", "", None),
        ("sticker", "image/webp", "", None),
        ("image", "image/svg+xml", "", None),
        ("audio", "audio/aac", "", None),
        # Sent as a picture or a sound: the bytes tell what it is.
        ("image", "", "", Opening.SEE),
        ("image", "application/octet-stream", "", Opening.SEE),
        ("image", "application/pdf", "", Opening.SEE),
        ("image", "image/jpg", "", Opening.SEE),
        ("image", "image/unheard-of", "", Opening.SEE),
        ("audio", "", "", Opening.HEAR),
        ("audio", "binary/octet-stream", "", Opening.HEAR),
        ("audio", "video/mp4", "", Opening.HEAR),
        ("audio", "Application/OGG; codecs=opus", "", Opening.HEAR),
        ("document", "", "photo.JPG", Opening.SEE),
        ("document", "application/octet-stream", "note.opus", None),
        ("document", "application/octet-stream", "note.mp3", Opening.HEAR),
        ("document", "", "unnamed", None),
    ],
)
def test_how_a_file_is_opened(kind: str, mime_type: str, filename: str, opening: Opening | None) -> None:
    assert opening_of(kind, mime_type, filename) is opening


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
    assert true_type("Audio/OGG; codecs=opus", "") == "audio/ogg"
