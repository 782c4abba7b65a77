"""Checks a file's bytes against its declared type, chunk by chunk, so that the whole file is never in memory."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Final

from kernel_service.media.read_as import PICTURES, SOUNDS
from kernel_service.ports.media import FileProblem, ReadAs

if TYPE_CHECKING:
    from collections.abc import Callable


_PDF: Final = "application/pdf"
_HEAD_BYTES: Final = 1024
"""A PDF may begin with something else, within this number of bytes (ISO 32000, annex H)."""
_ENCRYPTED: Final = b"/Encrypt"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The container of Office files with a password, and of all Office files from before 2007."""
_MARKS: Final[dict[str, Callable[[bytes], bool]]] = {
    "image/jpeg": lambda head: head.startswith(b"\xff\xd8\xff"),
    "image/png": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "image/gif": lambda head: head.startswith((b"GIF87a", b"GIF89a")),
    "image/webp": lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP",
    _PDF: lambda head: b"%PDF-" in head,
}
_SOUND_MARKS: Final[dict[str, Callable[[bytes], bool]]] = {
    "audio/ogg": lambda head: head.startswith(b"OggS"),
    "audio/wav": lambda head: head.startswith(b"RIFF") and head[8:12] == b"WAVE",
    "audio/flac": lambda head: head.startswith(b"fLaC"),
    "audio/webm": lambda head: head.startswith(b"\x1aE\xdf\xa3"),
    "audio/mp4": lambda head: head[4:8] == b"ftyp",
    # A frame of MPEG audio begins with eleven ones; with no layer it is AAC's.
    "audio/mpeg": lambda head: (
        head.startswith(b"ID3") or (head[:1] == b"\xff" and head[1:2] >= b"\xe0" and _layer(head))
    ),
}
_AMR: Final = b"#!AMR"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."


def _layer(head: bytes) -> bool:
    return len(head) > 1 and bool(head[1] & 0b110)


class Inspection:
    """Call see() with a file's bytes in order, then read its type and its problem. `mime_type` is the declared type."""

    def __init__(self, read_as: ReadAs, mime_type: str) -> None:
        self._read_as = read_as
        self._said = mime_type
        self._digest = hashlib.sha256()
        self._head = b""
        self._tail = b""
        self._mentions_encryption = False
        self.size = 0

    def see(self, data: bytes) -> None:
        self._digest.update(data)
        self.size += len(data)
        if len(self._head) < _HEAD_BYTES:
            self._head += data[: _HEAD_BYTES - len(self._head)]
        if self._said == _PDF and not self._mentions_encryption:
            window = self._tail + data
            self._mentions_encryption = _ENCRYPTED in window
            self._tail = window[1 - len(_ENCRYPTED) :]

    @property
    def sha256(self) -> bytes:
        return self._digest.digest()

    @property
    def mime_type(self) -> str:
        """The file's type. Pictures and sounds are recognised by their first bytes, with any declared type or none."""
        if self._read_as is ReadAs.SEE:
            return next((kind for kind in PICTURES if _MARKS[kind](self._head)), self._said)
        if self._read_as is ReadAs.HEAR:
            return next((kind for kind, fits in _SOUND_MARKS.items() if fits(self._head)), self._said)
        return self._said

    @property
    def problem(self) -> FileProblem:
        """The problem that is visible without opening the file."""
        if not self.size:
            return FileProblem.UNREADABLE
        if self._said.startswith(_OFFICE) and not self._head.startswith(b"PK"):
            return FileProblem.LOCKED if self._head.startswith(_OLE) else FileProblem.WRONG_TYPE
        if self._read_as is ReadAs.HEAR:
            return (
                FileProblem.WRONG_TYPE
                if self.mime_type not in SOUNDS or self._head.startswith(_AMR)
                else FileProblem.NONE
            )
        if self._read_as is ReadAs.SEE and self.mime_type not in PICTURES:
            return FileProblem.WRONG_TYPE
        fits = _MARKS.get(self.mime_type)
        return FileProblem.NONE if fits is None or fits(self._head) else FileProblem.WRONG_TYPE

    @property
    def may_be_locked(self) -> bool:
        """Whether it must be opened to know: a PDF that mentions encryption may open without a password."""
        return self._mentions_encryption


def needs_password(pdf: bytes) -> bool:
    """Whether a PDF opens only with a password. Slow; False for a file that the reader cannot parse."""
    from pypdf import PdfReader  # noqa: PLC0415 - most processes never need it
    from pypdf.errors import PyPdfError  # noqa: PLC0415

    try:
        reader = PdfReader(io.BytesIO(pdf))
        return reader.is_encrypted and not reader.decrypt("")
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
