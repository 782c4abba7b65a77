"""A message's file as it comes in: parted from the message, whose payload never holds the bytes."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from kernel_service.media.inspection import Inspection, needs_password
from kernel_service.media.read_as import MOST_BYTES, read_as_of, true_type
from kernel_service.ports.media import FileProblem, ReadAs

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS: Final = ("image", "audio", "video", "document", "sticker")


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


def file_of(content: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The kind and the fields of the file in a message's content, if it holds one."""
    return next(((kind, content[kind]) for kind in KINDS if kind in content), None)


def named_file(content: dict[str, Any], media_id: str) -> dict[str, Any]:
    """The content, its file known by this id from now on."""
    if (found := file_of(content)) is None:
        return content
    kind, file = found
    return content | {kind: file | {"media_id": media_id}}


def media_id_of(content: Mapping[str, Any]) -> str:
    """The id of the content's file; empty without one that can be opened."""
    found = file_of(content)
    return str(found[1].get("media_id", "")) if found else ""


def parted(content: dict[str, Any], *, locked: bool = False) -> tuple[dict[str, Any], Incoming | None]:
    """The content without the bytes, and the file if it is of a type that can be opened. `locked`: not this one."""
    if (found := file_of(content)) is None:
        return content, None
    kind, file = found
    bare = content | {kind: {name: value for name, value in file.items() if name != "data"}}
    filename = file.get("filename", "")
    mime_type = true_type(file.get("mime_type", ""), filename)
    read_as = read_as_of(kind, mime_type, filename)
    if read_as is None:
        return bare, None
    sha256 = base64.b64decode(file.get("sha256", ""))
    announced = Incoming(read_as, mime_type, filename, sha256, file.get("media_ref", ""))
    if "data" in file:
        return bare, _whole(announced, base64.b64decode(file["data"]), locked=locked)
    too_large = int(file.get("size_bytes", 0)) > MOST_BYTES[read_as]
    return bare, replace(announced, problem=FileProblem.TOO_LARGE) if too_large else announced


async def brings_locked_file(content: Mapping[str, Any]) -> bool:
    """Whether the bytes that come with a message are a PDF that opens only with a password."""
    if (found := file_of(content)) is None or "data" not in found[1]:
        return False
    file = found[1]
    data = base64.b64decode(file["data"])
    inspection = Inspection(ReadAs.READ, true_type(file.get("mime_type", ""), file.get("filename", "")))
    inspection.see(data)
    return inspection.may_be_locked and await asyncio.to_thread(needs_password, data)


def _whole(file: Incoming, data: bytes, *, locked: bool) -> Incoming:
    inspection = Inspection(file.read_as, file.mime_type)
    inspection.see(data)
    problem = FileProblem.DAMAGED if file.sha256 and file.sha256 != inspection.sha256 else inspection.problem
    problem = problem or (FileProblem.LOCKED if locked else FileProblem.NONE)
    return replace(file, mime_type=inspection.mime_type, data=b"" if problem else data, problem=problem)
