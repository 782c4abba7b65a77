"""The folder of an export: `person.jsonl` with a record a line, and `files`. Only its owner can read it.

It is written under another name beside its place, so that nothing incomplete is taken for an export.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

from google.protobuf.json_format import MessageToDict

if TYPE_CHECKING:
    from kernel.v1 import admin_pb2, export_pb2

RECORDS: Final = "person.jsonl"
FILES: Final = "files"
PARTIAL: Final = ".partial-"
_FILE_ID: Final = re.compile(r"[A-Za-z0-9_]{1,100}", re.ASCII)
_ENDINGS: Final = {
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "audio/aac": ".aac",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "text/csv": ".csv",
    "text/markdown": ".md",
    "text/plain": ".txt",
}


class ExportFolder:
    """A context. `finish` gives the folder its name; without it, everything that was written is deleted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._partial = self._folder
        """Where it is written meanwhile."""
        self._lines: BinaryIO | None = None
        self._file: BinaryIO | None = None
        self.counts: Counter[str] = Counter()
        """Records by kind."""
        self.unreadable = 0
        """Values that do not open."""
        self.bytes = 0
        """Of files."""

    def __enter__(self) -> Self:
        """Raises OSError: the folder is not empty, or cannot be made."""
        if self._folder.exists() and any(self._folder.iterdir()):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(self._folder))
        prefix = f".{self._folder.name}{PARTIAL}"
        self._partial = Path(tempfile.mkdtemp(prefix=prefix, dir=self._folder.parent))
        self._lines = _created(self._partial / RECORDS)
        (self._partial / FILES).mkdir(mode=0o700)
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._lines, self._file):
            if file is not None:
                with suppress(OSError):  # its buffer goes to the full disk
                    file.close()
        if self._partial != self._folder:
            shutil.rmtree(self._partial, ignore_errors=True)

    def add(self, record: admin_pb2.ExportPersonResponse) -> None:
        """Write a record, or the next bytes of the last file."""
        kind = record.WhichOneof("record")
        self.unreadable += len(record.unreadable)
        if kind == "file_chunk" and not record.unreadable:
            self._add_bytes(record.file_chunk)
            return
        if kind is None and not record.unreadable:
            return  # of a later release
        line: dict[str, Any] = MessageToDict(record, preserving_proto_field_name=True)
        if kind == "file":
            line["path"] = self._begin_file(record.file)
        if kind not in {None, "file_chunk"}:
            self.counts[str(kind)] += 1
        assert self._lines is not None  # noqa: S101 - inside the context
        self._lines.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def _begin_file(self, file: export_pb2.ExportedFile) -> str:
        """Its path in the folder. The sender's name for it is never a part of that."""
        self._close_file()
        name = file.file_id if _FILE_ID.fullmatch(file.file_id) else f"file_{self.counts['file'] + 1}"
        path = f"{FILES}/{name}{_ENDINGS.get(file.mime_type, '')}"
        self._file = _created(self._partial / path)
        return path

    def _add_bytes(self, data: bytes) -> None:
        if self._file is not None:
            self._file.write(data)
            self.bytes += len(data)

    def _close_file(self) -> None:
        if self._file is not None:
            _on_disk(self._file)
            self._file = None

    def finish(self) -> None:
        """Everything was written. Raises OSError, also if the place was taken meanwhile."""
        self._close_file()
        assert self._lines is not None  # noqa: S101 - inside the context
        _on_disk(self._lines)
        self._partial = self._partial.replace(self._folder)


def _created(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")


def _on_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
