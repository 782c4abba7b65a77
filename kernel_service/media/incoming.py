"""The file of a received message. The payload that is stored never holds the file's bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kernel_service.media.inspection import Inspection, needs_password
from kernel_service.media.read_as import MOST_BYTES, effective_type, read_as_of
from kernel_service.ports.media import FileProblem, ReadAs

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Payload


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file that can be opened. Its bytes arrived with the message, or `media_ref` names it to the channel."""

    read_as: ReadAs
    mime_type: str
    filename: str
    sha256: bytes
    media_ref: str = ""
    data: bytes = field(default=b"", repr=False)
    problem: FileProblem = FileProblem.NONE

    @property
    def wanted(self) -> bool:
        return bool(self.media_ref) and not self.problem


def split_file(payload: Payload, *, locked: bool = False) -> tuple[Payload, IncomingFile | None]:
    """The payload without the bytes, and the file if its type can be opened. `locked`: this one needs a password."""
    if (file := payload.file) is None:
        return payload, None
    bare = payload.with_file(replace(file, data=None))
    mime_type = effective_type(file.mime_type, file.filename)
    read_as = read_as_of(file.KIND, mime_type, file.filename)
    if read_as is None:
        return bare, None
    announced = IncomingFile(read_as, mime_type, file.filename, file.sha256, file.media_ref or "")
    if file.data is not None:
        return bare, _whole(announced, file.data, locked=locked)
    too_large = file.size_bytes > MOST_BYTES[read_as]
    return bare, replace(announced, problem=FileProblem.TOO_LARGE) if too_large else announced


async def holds_locked_file(payload: Payload) -> bool:
    """Whether the bytes that come with a message are a PDF that opens only with a password."""
    if (file := payload.file) is None or file.data is None:
        return False
    inspection = Inspection(ReadAs.READ, effective_type(file.mime_type, file.filename))
    inspection.see(file.data)
    return inspection.may_be_locked and await asyncio.to_thread(needs_password, file.data)


def _whole(file: IncomingFile, data: bytes, *, locked: bool) -> IncomingFile:
    inspection = Inspection(file.read_as, file.mime_type)
    inspection.see(data)
    problem = FileProblem.DAMAGED if file.sha256 and file.sha256 != inspection.sha256 else inspection.problem
    problem = problem or (FileProblem.LOCKED if locked else FileProblem.NONE)
    return replace(file, mime_type=inspection.mime_type, data=b"" if problem else data, problem=problem)
