"""Small files that people send, identified by their digest."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from typing import TYPE_CHECKING

from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

if TYPE_CHECKING:
    from tests.integration.world import World

JPEG = b"\xff\xd8\xff\xe0" + b"jpeg" * 50
VOICE = b"OggS" + bytes(range(256)) * 40


def png(shade: int = 7, side: int = 1) -> bytes:
    """A grey square with sides of `side` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes([shade]) * side) * side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def pdf(line: str, *, password: str | None = None, filler: int = 0) -> bytes:
    """A page with one line. `filler` incompressible bytes make it larger. An empty password needs no input."""
    writer = PdfWriter()
    page = writer.add_blank_page(200, 200)
    font = DictionaryObject({
        NameObject("/Type"): NameObject("/Font"), NameObject("/Subtype"): NameObject("/Type1"),
        NameObject("/BaseFont"): NameObject("/Helvetica"),
    })  # fmt: skip
    page[NameObject("/Resources")] = DictionaryObject(
        {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
    )
    content = DecodedStreamObject()
    content.set_data(f"BT /F1 12 Tf 10 100 Td ({line}) Tj ET".encode())
    page[NameObject("/Contents")] = writer._add_object(content)
    if filler:
        rest = DecodedStreamObject()
        rest.set_data(hashlib.shake_128(line.encode()).digest(filler))
        page[NameObject("/Rest")] = writer._add_object(rest)
    if password is not None:
        writer.encrypt(password, owner_password="owner", algorithm="AES-128")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def digest(data: bytes) -> str:
    """The description by the emulated model."""
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:16]}"


def shown(world: World) -> list[str]:
    """The digests of all files that the emulated model received, in order."""
    calls = world.emulators.effects.all("model_call")
    heard = [call.detail["sha256"] for call in world.emulators.effects.all("transcription")]
    return [*heard, *(file["sha256"] for call in calls for file in call.detail["files"])]
