"""Request bodies that are joined from encoded parts. Files are read in chunks, and are never whole in memory."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

from kernel_service.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from kernel_service.ports.model import ModelFile


class Body:
    """Bytes and files in order. Its length is known before it is written, which vendors require."""

    def __init__(self, parts: Sequence[bytes | ModelFile]) -> None:
        self._parts = parts
        self.length = 0
        for part in parts:
            self.length += len(part) if isinstance(part, bytes) else 4 * -(-part.size // 3)
        self.fault: KernelError | None = None
        """Why a file could not be read during the request, which the client's own error does not say."""

    @property
    def content(self) -> bytes | AsyncIterator[bytes]:
        """All of it if it has no files, else its chunks."""
        first = self._parts[0]
        return first if isinstance(first, bytes) and len(self._parts) == 1 else self.chunks()

    def holds(self, written: bytes) -> bool:
        """Whether these bytes are in it, outside the files."""
        return any(written in part for part in self._parts if isinstance(part, bytes))

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            for part in self._parts:
                if isinstance(part, bytes):
                    yield part
                else:
                    async for chunk in _base64(part.chunks()):
                        yield chunk
        except KernelError as error:
            self.fault = error
            raise


async def _base64(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % 3
        rest = data[whole:]
        yield base64.b64encode(data[:whole])
    if rest:
        yield base64.b64encode(rest)


class Places:
    """Placeholders for files' base64 in JSON that is still to be written."""

    def __init__(self) -> None:
        self._mark = ""
        self._files: list[ModelFile] = []

    def data_url(self, file: ModelFile) -> str:
        self._mark = self._mark or secrets.token_hex(16)
        self._files.append(file)
        return f"data:{file.mime_type};base64,{self._mark}"

    def body(self, written: bytes) -> Body:
        """The JSON with each file at its placeholder, in the order in which the files were placed."""
        if not self._files:
            return Body([written])
        first, *rest = written.split(self._mark.encode())
        parts: list[bytes | ModelFile] = [first]
        for file, piece in zip(self._files, rest, strict=True):
            parts += file, piece
        return Body(parts)
