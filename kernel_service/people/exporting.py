"""The export of a person: record after record, at the pace of the reader, and working at most half of the time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from kernel_service.ports.exporting import Exported, ExportedFile, ExportPosition, FileChunk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from kernel_service.ports.exporting import ExportedPerson, ExportStore

MOST_PAUSE_SECONDS: Final = 0.05
"""A slow reader already leaves enough time to others."""


class PersonExport:
    """Between two records it holds no transaction and no lease, only the current page."""

    def __init__(self, store: ExportStore) -> None:
        self._store = store

    async def of(self, person_id: str) -> AsyncGenerator[Exported]:
        """The person first, then their records by table, each file followed by its chunks. Errors as `ExportStore`."""
        person, unreadable = await self._store.person(person_id)
        yield Exported(person, unreadable)
        position: ExportPosition | None = ExportPosition()
        while position is not None:
            began = time.monotonic()
            page = await self._store.page(person, position)
            for exported in page.records:
                yield exported
                if isinstance(exported.record, ExportedFile):
                    async for chunk in self._chunks(person, exported.record):
                        yield chunk
            position = page.position
            await _pause(began)

    async def _chunks(self, person: ExportedPerson, file: ExportedFile) -> AsyncGenerator[Exported]:
        for number in range(file.chunks):
            began = time.monotonic()
            data = await self._store.chunk(person, file.id, number)
            if data is None:
                yield Exported(FileChunk(b""), ("file_chunk",))
                return
            yield Exported(FileChunk(data))
            await _pause(began)


async def _pause(began: float) -> None:
    """Wait as long as the work took, so that it takes at most half of the time."""
    await asyncio.sleep(min(time.monotonic() - began, MOST_PAUSE_SECONDS))
