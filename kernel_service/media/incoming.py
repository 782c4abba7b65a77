"""A message's file as it comes in: parted from the message, whose payload never holds the bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kernel_service.media.inspection import Inspection, needs_password
from kernel_service.media.read_as import MOST_BYTES, read_as_of, true_type
from kernel_service.ports.media import FileProblem, ReadAs

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Payload


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file that can be opened. Its bytes came along, or `media_ref` says what to ask the channel for."""

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


def parted(payload: Payload, *, locked: bool = False) -> tuple[Payload, Incoming | None]:
    """The payload without the bytes, and the file if it is of a type that can be opened. `locked`: not this one."""
    if (file := payload.file) is None:
        return payload, None
    bare = payload.with_file(replace(file, data=None))
    mime_type = true_type(file.mime_type, file.filename)
    read_as = read_as_of(file.KIND, mime_type, file.filename)
    if read_as is None:
        return bare, None
    announced = Incoming(read_as, mime_type, file.filename, file.sha256, file.media_ref or "")
    if file.data is not None:
        return bare, _whole(announced, file.data, locked=locked)
    too_large = file.size_bytes > MOST_BYTES[read_as]
    return bare, replace(announced, problem=FileProblem.TOO_LARGE) if too_large else announced


async def brings_locked_file(payload: Payload) -> bool:
    """Whether the bytes that come with a message are a PDF that opens only with a password."""
    if (file := payload.file) is None or file.data is None:
        return False
    inspection = Inspection(ReadAs.READ, true_type(file.mime_type, file.filename))
    inspection.see(file.data)
    return inspection.may_be_locked and await asyncio.to_thread(needs_password, file.data)


def _whole(file: Incoming, data: bytes, *, locked: bool) -> Incoming:
    inspection = Inspection(file.read_as, file.mime_type)
    inspection.see(data)
    problem = FileProblem.DAMAGED if file.sha256 and file.sha256 != inspection.sha256 else inspection.problem
    problem = problem or (FileProblem.LOCKED if locked else FileProblem.NONE)
    return replace(file, mime_type=inspection.mime_type, data=b"" if problem else data, problem=problem)
