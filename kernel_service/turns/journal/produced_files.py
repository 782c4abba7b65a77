"""Files that tools make in a turn, kept until they are sent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from kernel_service.ports.media import CHUNK_BYTES
from kernel_service.ports.messages import ReplyFile
from kernel_service.turns.journal.store_retries import until_stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.media import MadeFileStore
    from kernel_service.ports.tools import ToolFile
    from kernel_service.ports.turns import Turn


@dataclass(frozen=True, slots=True)
class ProducedFiles:
    """Of one turn."""

    store: MadeFileStore
    turn: Turn
    clock: Callable[[], float]

    async def keep(self, file: ToolFile) -> ReplyFile:
        """Keep a file that a tool made until its reply is settled. Exhausted MEDIA_FULL."""
        message, size = self.turn.messages[-1], len(file.data)
        media_id = await until_stored(lambda: self.store.keep(self.turn.person_id, message, size, now=self.clock()))
        for number, start in enumerate(range(0, size, CHUNK_BYTES)):
            chunk = file.data[start : start + CHUNK_BYTES]
            await until_stored(partial(self.store.add_chunk, media_id, number, chunk))
        return ReplyFile(media_id, file.mime_type, file.filename, size, hashlib.sha256(file.data).hexdigest())
