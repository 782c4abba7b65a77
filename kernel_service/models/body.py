"""Request bodies that are sent as they are made: files pass through in chunks, and never stand whole in memory."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any

import orjson

from kernel_service.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kernel_service.ports.model import ModelFile


class Body:
    """Bytes and files in order. Its length is known before it is made, which vendors ask for."""

    def __init__(self) -> None:
        self._parts: list[Callable[[], AsyncIterator[bytes]]] = []
        self.length = 0
        self.fault: KernelError | None = None
        """Why a file could not be read on the way: the client's own error does not say."""

    def add(self, data: bytes) -> None:
        async def whole() -> AsyncIterator[bytes]:
            yield data

        self._parts.append(whole)
        self.length += len(data)

    def add_base64(self, file: ModelFile) -> None:
        self._parts.append(lambda: _base64(file.chunks()))
        self.length += 4 * -(-file.size // 3)

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            for part in self._parts:
                async for chunk in part():
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
    """Stand for files' base64 in JSON that is still to be written."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(16)
        self._files: list[ModelFile] = []

    def data_url(self, file: ModelFile) -> str:
        self._files.append(file)
        return f"data:{file.mime_type};base64,{self._mark}"

    def json(self, value: Any) -> Body:
        """The value as JSON, with each file at its placeholder, in the order in which the files were placed."""
        body = Body()
        first, *rest = orjson.dumps(value).split(self._mark.encode())
        body.add(first)
        for file, piece in zip(self._files, rest, strict=True):
            body.add_base64(file)
            body.add(piece)
        return body
